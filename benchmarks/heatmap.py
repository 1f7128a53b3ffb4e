"""What looking at an answer token by token costs the browser: 4096 tokens beside 256.

    python benchmarks/heatmap.py [--json] [--tokens 4096] [--few 256] [--times 40]

Draws the heat map of pretended answers (five candidates a token) in Chromium, and points, moves and
drags as a person does, with real mouse and key events. Prints, for each kind of act, the CPU time of
the page's main thread until the next frame is drawn (less that of a frame in which nothing happens),
and the many tokens' time ÷ the few tokens'. CPU time, so another busy program does not count. Goal: no
act on 4096 tokens takes longer than one frame at 60 Hz, 16.7 ms; the ratio tells what grows with the
answer. What happens once, the first drawing and a new run of the page's script, is told beside it.
"""

import argparse
import itertools
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

PLACE = "http://lens.test/"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
KNOBS = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.0, "order": "llama.cpp"}
FRAME_MS = 1000 / 60
ONCE = ("the page is drawn again", "first drawing")
NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
DRAW = """async (data) => {
    const { default: draw } = await import("./heatmap.js")
    window.draw = () => {
        draw({ data, parentElement: document.getElementById("place"), setTriggerValue: () => undefined })
    }
    window.draw()
}"""


@dataclass(frozen=True, slots=True)
class Act:
    """What one act costs the main thread, in ms of CPU, with few tokens and with many."""

    name: str
    few_ms: float
    many_ms: float

    @property
    def ratio(self) -> float:
        return self.many_ms / self.few_ms if self.few_ms > 0 else math.inf


def answer(tokens: int) -> list[list[Any]]:
    """Return a pretended answer as the component takes it."""
    source = random.Random(1)
    made: list[list[Any]] = []
    for number in range(tokens):
        weights = sorted((source.random() ** 4 for _ in range(5)), reverse=True)
        candidates = [
            [f"w{number}.{rank} ", number * 5 + rank, math.log(weight / sum(weights) * 0.95)]
            for rank, weight in enumerate(weights)
        ]
        chosen = source.choice(candidates)
        ending = "\n" if number % 60 == 59 else ""
        made.append([chosen[0] + ending, chosen[1], chosen[2], candidates])
    return made


class Lens:
    """A page with the heat map of an answer."""

    def __init__(self, browser: Any, tokens: int) -> None:
        from twokeys.web.component import component_texts

        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        bundle = Path(str(files("twokeys").joinpath("web/component/frontend")))

        def serve(route: Any) -> None:
            name = route.request.url.removeprefix(PLACE)
            if name:
                route.fulfill(path=bundle / name)
            else:
                route.fulfill(content_type="text/html", body="<!doctype html><div id=place></div>")

        self.page.route(f"{PLACE}**", serve)
        self.page.goto(PLACE)
        self._devtools = self.page.context.new_cdp_session(self.page)
        self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._idle_ms = 0.0
        data = {
            "tokens": answer(tokens),
            "wider": {},
            "knobs": KNOBS,
            "not_drawn": [],
            "texts": component_texts("en", "lens"),
            "options": {"lang": "en", "fork": True, "widen": True},
        }
        self.first_ms = self.cost(lambda: self.page.evaluate(DRAW, data))

    def cost(self, act: Callable[[], object], times: int = 1) -> float:
        """Return the main thread's time for one act and the frame after it, on the average."""
        before = self._busy_ms()
        for _ in range(times):
            act()
            self.page.evaluate(NEXT_FRAME)
        return max(0.0, (self._busy_ms() - before) / times - self._idle_ms)

    def acts(self, times: int) -> dict[str, float]:
        """Return the time of every kind of act by its name, in ms."""
        page = self.page
        self._idle_ms = self.cost(lambda: None, times)
        page.locator('[data-token="0"]').click()
        spots = self._spots()
        result = {"point at a token": self.cost(lambda: page.mouse.move(*next(spots)), times)}
        result["next token"] = self._press("ArrowRight", times=times)
        result["next line"] = self._press("ArrowDown", times=times)
        result["line before"] = self._press("ArrowUp", times=times)
        result["to the end, to the beginning"] = self._press("End", "Home", times=times)
        temperature = page.locator('[data-knob="temperature"]')
        temperature.focus()
        result["drag temperature, one token"] = self._press("ArrowRight", "ArrowLeft", times=times)
        page.get_by_role("button", name="Whole answer").click()
        temperature.focus()
        result["drag temperature, whole answer"] = self._press("ArrowRight", "ArrowLeft", times=times)
        result[ONCE[0]] = self.cost(lambda: page.evaluate("window.draw()"), times)
        return result

    def _press(self, *keys: str, times: int) -> float:
        turns = itertools.cycle(keys)
        return self.cost(lambda: self.page.keyboard.press(next(turns)), times)

    def _spots(self) -> Iterator[tuple[float, float]]:
        """Return where tokens stand on the screen, again and again."""
        boxes = [self.page.locator(f'[data-token="{number}"]').bounding_box() for number in range(20)]
        middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes if box]
        return itertools.cycle(middles)

    def _busy_ms(self) -> float:
        metrics = self._devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def measure(few: int, many: int, times: int) -> list[Act]:
    """Return what each act costs; the answers take turns so that both are measured in one browser."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        result: list[dict[str, float]] = []
        for tokens in (few, many):
            lens = Lens(browser, tokens)
            lens.acts(5)  # the engine of the page has seen the code then
            result.append({**lens.acts(times), ONCE[1]: lens.first_ms})
            lens.page.close()
        browser.close()
    return [Act(name, result[0][name], result[1][name]) for name in result[0]]


def report(acts: list[Act], few: int, many: int) -> Iterator[str]:
    yield f"{'main thread, ms of CPU':32} {few:>7} {many:>7}   ratio"
    for act in acts:
        yield f"{act.name:32} {act.few_ms:7.2f} {act.many_ms:7.2f} {act.ratio:7.2f}"
    slowest = max((act for act in acts if act.name not in ONCE), key=lambda act: act.many_ms)
    yield f"slowest act on {many} tokens: {slowest.name}, {slowest.many_ms:.1f} ms (goal ≤ {FRAME_MS:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--few", type=int, default=256)
    parser.add_argument("--times", type=int, default=40, help="how often each act is done")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    acts = measure(chosen.few, chosen.tokens, chosen.times)
    if chosen.json:
        reported = [{**asdict(act), "ratio": act.ratio} for act in acts]
        print(json.dumps({"few": chosen.few, "tokens": chosen.tokens, "acts": reported}))
        return
    print("\n".join(report(acts, chosen.few, chosen.tokens)))


if __name__ == "__main__":
    main()
