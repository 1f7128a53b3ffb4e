"""The app with an engine that plays a script, as a process of its own: `serve_scripted.py HOME`.

The question says what is played; SCRIPTED_BASE is the path it lies below.
Prints {"url": …} like `twokeys ui --json`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine, Stall, Step
from twokeys.services import build_services
from twokeys.types import GenerationRequest
from twokeys.ui.screens import site
from twokeys.web.server import serve

GOOD = "The fox lives in the forest. It hunts at night.\n\n"
LOOP = "It is what it is, my friend. "
CHINESE = "狐狸住在森林里，夜晚出来觅食，白天在洞中休息。"
NAMES = ("fox", "owl", "bear", "hare", "wolf", "deer", "crow", "toad", "mole", "lynx")
VERBS = ("sees", "greets", "follows", "finds", "passes", "warns", "helps")
PLACES = ("by the old mill", "near the river", "under the moon", "behind a stone", "on the hill")
FRESH = [
    f"The {NAMES[n % 10]} {VERBS[n % 7]} the {NAMES[(3 * n + n // 10) % 10]} {PLACES[n % 5]}."
    for n in range(80)
]
TABLE = json.dumps([{"part": f"bolt {n}", "count": n} for n in range(40)])
WORN = " ".join([*FRESH[:60], *(["Overall, it is so.", *sorted(FRESH[:40], key=len)] * 3)])
"""Begins well and then says the same sentences again in another order, with padding between."""


class Engine(ScriptedEngine):
    """Answers no health check while it is silent after the question "hang"."""

    hanging = False

    async def healthy(self) -> bool:
        if self.hanging:
            await asyncio.sleep(0.2)
        return not self.hanging

    def play(self, request: GenerationRequest) -> Sequence[Step]:
        question = request.messages[-1].content
        self.hanging = question == "hang"
        if request.json_schema is not None:
            return [
                Say(
                    TABLE.removeprefix(request.prefix),
                    0 if request.prefix or question != "slow table" else 0.03,
                )
            ]
        if request.prefix:
            return [Say("At dawn it goes home and sleeps under the old oak.", 0.01)]
        if question == "loop":
            return [Say(GOOD, 0.002), Say(LOOP * 40, 0.01)]
        if question in ("hang", "pause"):
            return [Say(GOOD, 0.01), Stall(7), Say("Then it goes home. " + "It sleeps at last. ", 0.05)]
        if question == "wear out":
            return [Say(WORN)]
        if question == "change the language":
            return [Say(GOOD + CHINESE)]
        if question == "guess":
            return [Say(" ".join(FRESH[:8])), Say(" ".join(FRESH[40:48]), logprob=-1.8), Say(FRESH[70])]
        return [Say(GOOD)]


def main() -> None:
    engine = Engine(model="scripted")
    engine.script = engine.play
    services = build_services(load_config({**os.environ, "TWOKEYS_HOME": sys.argv[1]}), engine=engine)
    serve(
        services,
        site(),
        "127.0.0.1",
        0,
        open_browser=False,
        base_path=os.environ.get("SCRIPTED_BASE", ""),
        on_listening=lambda listening: print(json.dumps({"url": listening.url}), flush=True),
    )


if __name__ == "__main__":
    main()
