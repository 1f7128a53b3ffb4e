"""What a 4096-token answer costs the browser: the live component beside `st.write_stream`.

    python benchmarks/stream_ui.py [--json] [--tokens 4096] [--speed 150]

Plays the same Markdown at the same speed through both ways, in Chromium, on the real server. Prints
the bytes of the stream itself (WebSocket frames), those of fonts and scripts fetched on the way (once
per browser), and the share of the wall time in which the page's main thread was busy. Goal: the
component's stream has at most 2 % of the bytes, and it takes less than 20 % of the main thread.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
SAMPLE = HERE.parent.parent / "tests" / "web" / "answer.md"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
GOAL_BYTES = 0.02
GOAL_BUSY = 0.20

WRITE_STREAM_PAGE = """
import sys, time
import streamlit as st
sys.path.insert(0, {folder!r})
from stream_ui import pieces
def slowly():
    start = time.monotonic()
    for number, piece in enumerate(pieces({tokens})):
        time.sleep(max(0.0, start + number / {speed} - time.monotonic()))
        yield piece
if st.chat_input("Ask", key="ask"):
    with st.chat_message("assistant"):
        st.write_stream(slowly)
    st.text("finished")
"""

COMPONENT_PAGE = """
import streamlit as st
from twokeys.web.component import component_texts, message_view, transcript
from twokeys.web.runtime import get_services
services = get_services()
topic = st.query_params["c"]
messages = services.jobs.overlay(services.repository.branch(topic))
transcript([message_view(m) for m in messages], topic=topic, texts=component_texts("en"),
    options={"lang": "en"}, key="transcript", on_action=lambda action: None)
if text := st.chat_input("Ask", key="ask"):
    services.answers.send(topic, text)
    st.rerun()
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """stream_bytes: WebSocket frames. file_bytes: fonts, scripts. busy: share of the main thread, 0…1."""

    way: str
    stream_bytes: int
    file_bytes: int
    busy: float
    seconds: float


def pieces(tokens: int) -> list[str]:
    """Return the sample answer, repeated, as `tokens` pieces."""
    from twokeys.engines.scripted import split_tokens

    once = split_tokens(SAMPLE.read_text(encoding="utf-8") + "\n\n")
    return (once * (tokens // len(once) + 1))[:tokens]


def serve_way(way: str, home: str, tokens: int, speed: float) -> None:
    """Serve one of the two pages; prints the conversation's id and the address."""
    from twokeys.config import load_config
    from twokeys.engines.scripted import Say, ScriptedEngine
    from twokeys.services import build_services
    from twokeys.types import Sampling, Settings
    from twokeys.web.server import serve
    from twokeys.web.site import Site

    text = "".join(pieces(tokens))
    engine = ScriptedEngine([Say(text, 1 / speed)], context=4 * tokens + 4096)
    services = build_services(load_config({"TWOKEYS_HOME": home}), engine=engine)
    off = dict.fromkeys(("loop", "decay", "drift", "uncertainty", "stall"), "off")
    settings = Settings(sampling=Sampling(max_new_tokens=2 * tokens), guard=off)
    print(services.conversations.new(settings, title="benchmark").id, flush=True)
    page = Path(home) / "page.py"
    source = WRITE_STREAM_PAGE if way == "write_stream" else COMPONENT_PAGE
    values = {"folder": str(HERE.parent), "tokens": tokens, "speed": speed}
    page.write_text(source.format(**values) if way == "write_stream" else source, encoding="utf-8")
    serve(
        services,
        Site(page),
        port=0,
        open_browser=False,
        on_listening=lambda at: print(at.url, flush=True),
    )


def measure(way: str, tokens: int, speed: float) -> Cost:
    """Stream one answer in a fresh server and browser and return what it cost."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, str(HERE), "--serve", way, "--home", home]
        command += ["--tokens", str(tokens), "--speed", str(speed)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            topic, url = server.stdout.readline().strip(), server.stdout.readline().strip()
            return _watch(way, f"{url}/?c={topic}", tokens / speed)
        finally:
            server.terminate()
            server.wait()


def _watch(way: str, url: str, expected_s: float) -> Cost:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        box = page.get_by_test_id("stChatInputTextArea")
        box.wait_for()
        page.wait_for_timeout(1000)
        received = _count_received(page)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "timeTicks"})
        box.fill("go")
        busy_before, began = _task_seconds(devtools), time.monotonic()
        box.press("Enter")
        done = page.get_by_text("finished") if way == "write_stream" else page.locator(".tk-figures")
        done.last.wait_for(timeout=expected_s * 4000 + 60_000)
        seconds = time.monotonic() - began
        busy = (_task_seconds(devtools) - busy_before) / seconds
        cost = Cost(way, received["frames"], received["files"], busy, seconds)
        browser.close()
    return cost


def _count_received(page: Any) -> Counter[str]:
    """Return a counter of the bytes the page receives from now on, by "frames" and "files"."""
    sizes: Counter[str] = Counter()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")

    def frame(event: dict[str, Any]) -> None:
        response = event["response"]
        text = response["payloadData"]
        sizes["frames"] += len(text.encode()) if response["opcode"] == 1 else len(text) * 3 // 4

    def file(event: dict[str, Any]) -> None:
        sizes["files"] += int(event["encodedDataLength"])

    devtools.on("Network.webSocketFrameReceived", frame)
    devtools.on("Network.loadingFinished", file)
    return sizes


def _task_seconds(devtools: Any) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def report(costs: list[Cost]) -> Iterator[str]:
    for cost in costs:
        stream, files = (f"{size / 1e6:7.3f} MB" for size in (cost.stream_bytes, cost.file_bytes))
        busy = f"main thread {cost.busy:5.1%} of {cost.seconds:.1f} s"
        yield f"{cost.way:13} stream {stream}   files {files}   {busy}"
    ratio = costs[0].stream_bytes / costs[1].stream_bytes
    yield f"stream: {ratio:.2%} of st.write_stream's bytes (goal ≤ {GOAL_BYTES:.0%})"
    yield f"main thread: {costs[0].busy:.1%} (goal < {GOAL_BUSY:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--speed", type=float, default=150.0, help="tokens per second")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve_way(chosen.serve, chosen.home, chosen.tokens, chosen.speed)
        return
    costs = [measure(way, chosen.tokens, chosen.speed) for way in ("component", "write_stream")]
    if chosen.json:
        ratio = costs[0].stream_bytes / costs[1].stream_bytes
        print(json.dumps({"runs": [asdict(cost) for cost in costs], "bytes_ratio": ratio}))
        return
    print("\n".join(report(costs)))


if __name__ == "__main__":
    main()
