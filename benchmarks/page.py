"""How quickly the pages answer a person: another page, typing beside a growing answer, opening what is long.

    python benchmarks/page.py [--json] [--rounds 7]

A scripted engine, the real server, Chromium. Prints ratios within one run, medians of interleaved rounds:

    page switch    from a click on a place to its heading ÷ loading that page anew from its address
    typing         from a key to the picture that shows its letter, while an answer grows ÷ while nothing does
    opening        from a click on a conversation of 3000 messages to its last one ÷ the same with 30
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SHORT, LONG = 30, 3000
PLACES = ("compare", "writing", "lab", "settings")
KEYS = "how long does it take until one sees what one has typed"
AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
BOX = ".st-key-chat_send textarea"
WATCH_KEYS = """
window.delays = []
addEventListener("keydown", (pressed) => {
    const shown = () => requestAnimationFrame(() =>
        setTimeout(() => window.delays.push(performance.now() - pressed.timeStamp)))
    pressed.target.addEventListener("input", shown, { once: true })
}, true)
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio with the medians it is made of, in seconds."""

    name: str
    ratio: float
    measured_s: float
    beside_s: float


def serve_pages(home: str) -> None:
    """Serve the app over two stored conversations; prints the address."""
    from twokeys.config import load_config
    from twokeys.engines.scripted import Say, ScriptedEngine
    from twokeys.services import build_services
    from twokeys.types import Conversation, Message
    from twokeys.ui.screens import site
    from twokeys.web.server import serve

    answer = (HERE.parent.parent / "tests" / "web" / "answer.md").read_text(encoding="utf-8")
    engine = ScriptedEngine([Say(answer * 20, 1 / 40)], context=1 << 20)
    services = build_services(load_config({"TWOKEYS_HOME": home}), engine=engine)
    for length in (SHORT, LONG):
        name = f"messages{length:012}"
        services.repository.create_conversation(Conversation(name, f"{length} messages", 1.0, 1.0))
        parent = None
        for number in range(length):
            text = f"Message {number} of {length}" if number % 2 == 0 else answer[:600]
            role: Any = "assistant" if number % 2 else "user"
            message = Message(f"{name}-{number:04}", name, parent, role, text, float(number))
            parent = services.repository.add_message(message).id
    serve(services, site(), port=0, open_browser=False, on_listening=lambda at: print(at.url, flush=True))


def timed(act: Callable[[], object], shown: Any) -> float:
    """Return the seconds from an act until this is visible."""
    begun = time.monotonic()
    act()
    shown.wait_for()
    return time.monotonic() - begun


def page_switch(page: Any, url: str, rounds: int) -> Figure:
    """Go to each place by its link, and load it by its address."""
    clicked, loaded = [], []
    for _ in range(rounds):
        for place in PLACES:
            page.locator(".st-key-nav_chat a, .st-key-nav_here_chat a").first.click()
            page.locator(BOX).wait_for()
            page.locator(AT_REST).wait_for(state="attached")
            heading = page.locator(f".st-key-nav_here_{place}")
            clicked.append(timed(page.locator(f".st-key-nav_{place} a").click, heading))
            loaded.append(timed(lambda place=place: page.goto(f"{url}/{place}"), heading))
            page.locator(AT_REST).wait_for(state="attached")
    return figure("page switch", clicked, loaded)


def opening(page: Any, url: str, rounds: int) -> Figure:
    """Open the long conversation and the short one by their rows, in turns."""
    page.goto(f"{url}/")
    page.locator(".tk-palette-field").wait_for(state="attached")
    seconds: dict[int, list[float]] = {SHORT: [], LONG: []}
    for _ in range(rounds):
        for length in (SHORT, LONG):
            page.locator(".st-key-conversation_new button").click()
            page.locator(".st-key-examples").wait_for()
            page.locator(AT_REST).wait_for(state="attached")
            row = page.locator(f".st-key-open_messages{length:012} button")
            last = page.locator(f".tk-user:has-text('Message {length - 2} of {length}')")
            seconds[length].append(timed(row.click, last))
    return figure("opening", seconds[LONG], seconds[SHORT])


def typing(page: Any, url: str, rounds: int) -> Figure:
    """Type while an answer grows, and in the same page when it was stopped."""
    growing, quiet = [], []
    for _ in range(rounds):
        page.goto(f"{url}/")
        page.locator(".tk-palette-field").wait_for(state="attached")
        page.locator(".st-key-conversation_new button").click()
        page.locator(".st-key-examples").wait_for()
        page.locator(BOX).fill("go")
        page.locator(BOX).press("Enter")
        page.locator(".tk-growing .tk-md p").first.wait_for()
        growing += delays(page)
        page.locator(".tk-growing [data-do=stop], [data-do=stop]").first.click()
        page.locator(".tk-assistant .tk-figures").wait_for()
        quiet += delays(page)
    return figure("typing", growing, quiet)


def delays(page: Any) -> list[float]:
    """Type into the box; return the seconds from each key to its letter on the screen."""
    page.evaluate("window.delays = []")
    page.locator(BOX).press_sequentially(KEYS, delay=60)
    page.wait_for_timeout(500)
    page.locator(BOX).fill("")
    return [delay / 1000 for delay in page.evaluate("window.delays")]


def figure(name: str, measured: Sequence[float], beside: Sequence[float]) -> Figure:
    here, there = statistics.median(measured), statistics.median(beside)
    return Figure(name, here / there, here, there)


def measure(rounds: int) -> list[Figure]:
    """Serve the pages, and measure all three in one browser."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        command = [sys.executable, str(HERE), "--serve", home]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
            page.set_default_timeout(120_000)
            page.add_init_script(WATCH_KEYS)
            page.goto(f"{url}/")
            page.locator(BOX).wait_for()
            figures = [each(page, url, rounds) for each in (page_switch, opening, typing)]
            browser.close()
        finally:
            server.terminate()
            server.wait()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", metavar="HOME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_pages(options.serve)
        return
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps([asdict(each) for each in figures], indent=2))
        return
    for each in figures:
        print(f"{each.name:12} {each.ratio:6.2f}   {each.measured_s:.3f} s ÷ {each.beside_s:.3f} s")


if __name__ == "__main__":
    main()
