"""What a person feels while talking: speed at the browser, later turns, and the way to the first page.

    python benchmarks/talk.py MODEL.gguf [speed] [turns] [start] [--json]

speed   tokens per second as the page shows them ÷ the engine's own figure for the same request (goal ≥ 0.95)
turns   time to first token on turn 10 ÷ turn 1 of a growing conversation (goal ≤ 1.3), beside the
        same with the engine's cache emptied before every turn; questions of about 100 tokens,
        answers of 100. (The attention of the new tokens over the old ones is left and grows: the
        more, the smaller the model and the longer each turn.)
start   seconds from the command to a page one can type into ÷ the same for an empty Streamlit script

Each prints its ratio; figures are of one run on one machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
ANSWER_TOKENS = 400
TURN_TOKENS = 100
TURNS = 10
QUESTION = "Write a long fairy tale about a fox who travels around the whole world."
INTRODUCTION = "Here is what happened today. " + "The sea was calm and the light turned slowly. " * 8

WATCH = """() => {
  const find = () => [...document.querySelectorAll('*')].map((host) => host.shadowRoot)
    .find((inside) => inside?.querySelector('.tk-message'));
  let root = find();
  window.seen = [];
  const look = () => {
    if (!root?.host.isConnected) root = find();
    const growing = root?.querySelector('.tk-growing .tk-md');
    const length = growing ? growing.textContent.length : 0;
    const last = window.seen.at(-1);
    if (length && (!last || last[1] !== length)) window.seen.push([performance.now(), length]);
    requestAnimationFrame(look);
  };
  look();
}"""


def measure_speed(model: Path) -> dict[str, Any]:
    """Ask through the page; compare the growth of the text on it with the engine's own speed."""
    with home_with(model) as home, app(home) as url, browser_page(f"{url}/?lang=en") as page:
        box = page.get_by_role("textbox", name="Ask something")
        box.wait_for()
        limit_answer(home, page, url)
        box = page.get_by_role("textbox", name="Ask something")
        finished = page.locator(".tk-assistant:not(.tk-growing) .tk-figures")
        box.fill("Say hello.")
        box.press("Enter")
        finished.first.wait_for(timeout=120_000)
        page.evaluate(WATCH)
        box.fill(QUESTION)
        box.press("Enter")
        finished.nth(1).wait_for(timeout=300_000)
        time.sleep(1)
        seen = page.evaluate("window.seen")
        provenance = newest_answer(home)
    part = provenance.parts[-1]
    tokens, engine = part.completion_tokens, part.timings.tok_per_s
    seconds = (seen[-1][0] - seen[0][0]) / 1000
    shown = (tokens - 1) / seconds if seconds else 0.0
    return {"browser_tok_per_s": shown, "engine_tok_per_s": engine, "tokens": tokens, "ratio": shown / engine}


def limit_answer(home: Path, page: Any, url: str) -> None:
    """Give the page a conversation whose answers are short enough to be measured soon."""
    from twokeys.config import load_config
    from twokeys.ids import new_id
    from twokeys.store.repository import Repository
    from twokeys.types import Conversation, Sampling, Settings

    repository = Repository.open(load_config({"TWOKEYS_HOME": str(home)}))
    settings = Settings(sampling=Sampling(max_new_tokens=ANSWER_TOKENS, seed=1))
    conversation = repository.create_conversation(
        Conversation(new_id(), "bench", 1.0, 1.0, settings=settings)
    )
    repository.close()
    page.goto(f"{url}/?lang=en&c={conversation.id}")
    page.get_by_role("textbox", name="Ask something").wait_for()


def newest_answer(home: Path) -> Any:
    from twokeys.config import load_config
    from twokeys.store.repository import Repository

    repository = Repository.open(load_config({"TWOKEYS_HOME": str(home)}))
    [conversation] = [c for c in repository.list_conversations(limit=5) if c.head_id]
    message = repository.get_message(conversation.head_id)
    repository.close()
    return message.provenance


def measure_turns(model: Path) -> dict[str, Any]:
    """Ten turns of a growing conversation, with the prompt cache and with it emptied each time."""
    cached, emptied = turn_times(model, empty=False, rounds=3), turn_times(model, empty=True, rounds=1)
    return {
        "ttft_s": cached,
        "ttft_s_cache_off": emptied,
        "ratio": statistics.median(cached[-3:]) / cached[0],
        "ratio_cache_off": statistics.median(emptied[-3:]) / emptied[0],
    }


def turn_times(model: Path, *, empty: bool, rounds: int) -> list[float]:
    """Return the median time to first token of each turn, over some conversations on one warm engine."""
    from twokeys.config import load_config
    from twokeys.services import build_services
    from twokeys.types import Sampling, Settings

    times: list[list[float]] = []
    with home_with(model) as home:
        services = build_services(load_config({"TWOKEYS_HOME": str(home)}))
        try:
            settings = Settings(sampling=Sampling(max_new_tokens=TURN_TOKENS, seed=1))
            engine: Any = services.jobs.loop.run(services.engines.ready())
            services.jobs.loop.run(engine.start())

            def ask(conversation: str, text: str) -> float:
                view = services.jobs.wait(services.answers.send(conversation, text).job.id, 600)
                if view.ttft_s is None:
                    raise RuntimeError(f"no answer: {view.error}")
                return round(view.ttft_s, 3)

            ask(services.conversations.new(settings).id, "Say hello.")
            for _ in range(rounds):
                conversation = services.conversations.new(settings).id
                services.jobs.loop.run(engine._server.post("/slots/0?action=erase", {}))
                times.append([])
                for turn in range(TURNS):
                    if empty:
                        services.jobs.loop.run(engine._server.post("/slots/0?action=erase", {}))
                    times[-1].append(ask(conversation, f"{INTRODUCTION} Turn {turn}: what comes next?"))
        finally:
            services.close()
    return [statistics.median(turn) for turn in zip(*times, strict=True)]


def measure_start(model: Path) -> dict[str, Any]:
    """From the command to a page that can be typed into, warm; beside an empty Streamlit script."""
    ours, empty = [], []
    for _ in range(3):
        with home_with(model) as home:
            began = time.monotonic()
            with app(home) as url, browser_page(f"{url}/?lang=en") as page:
                page.get_by_role("textbox", name="Ask something").wait_for(timeout=60_000)
                ours.append(time.monotonic() - began)
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "empty.py"
            script.write_text("import streamlit as st\nst.chat_input('Ask something')\n", encoding="utf-8")
            began = time.monotonic()
            with streamlit_script(script) as url, browser_page(url) as page:
                page.get_by_role("textbox", name="Ask something").wait_for(timeout=60_000)
                empty.append(time.monotonic() - began)
    ours_s, empty_s = statistics.median(ours), statistics.median(empty)
    return {"seconds": ours_s, "empty_script_seconds": empty_s, "ratio": ours_s / empty_s}


@contextmanager
def home_with(model: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir(mode=0o700)
        try:
            os.link(model, models / model.name)
        except OSError:
            shutil.copyfile(model, models / model.name)
        yield Path(folder)


@contextmanager
def app(home: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "twokeys", "ui", "--no-browser", "--no-token", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TWOKEYS_HOME": str(home)},
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        url = str(json.loads(line)["url"])
        wait_for_health(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def streamlit_script(script: Path) -> Iterator[str]:
    port = 18999
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_health(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def wait_for_health(url: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer")


@contextmanager
def browser_page(url: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(locale="en-US")
        page.goto(url)
        yield page
        browser.close()


MEASURES = {"speed": measure_speed, "turns": measure_turns, "start": measure_start}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("measures", nargs="*", choices=[*MEASURES, []], default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {name: MEASURES[name](arguments.model.resolve()) for name in arguments.measures or MEASURES}
    if arguments.json:
        print(json.dumps(results))
    else:
        for name, values in results.items():
            print(name)
            for key, value in values.items():
                print(f"  {key:24} {value:.3f}" if isinstance(value, float) else f"  {key:24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
