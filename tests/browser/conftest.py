"""The real app in the real browser: `python -m twokeys ui` with SmolLM2, and Chromium.

Every page of a test is watched: a request to any host but the app's own fails the test.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from twokeys.config import load_config, prepare_home
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Message, Role

PICTURE = "picture0000000000000"
LONG_CONVERSATION = "long0000000000000000"
SOURCE = Path(__file__).resolve().parents[2] / "src"
START_S = 60.0
UI_COMMAND = ("-m", "twokeys", "ui", "--no-browser", "--no-token", "--port", "0", "--json")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=30_000)


@dataclass(frozen=True, slots=True)
class App:
    """A running TwoKeys: where it listens and where its data is."""

    url: str
    home: Path
    process: subprocess.Popen[str]


@contextmanager
def running_app(home: Path, *, command: Sequence[str] = UI_COMMAND, **env: str) -> Iterator[App]:
    """Start the app over a data folder as a person would, and end it afterwards.

    command: arguments of Python; what they start prints the address as `twokeys ui --json` does.
    """
    surroundings = {
        **os.environ,
        "TWOKEYS_HOME": str(home),
        "PYTHONPATH": str(SOURCE),
        "PYTHONUNBUFFERED": "1",
        **env,
    }
    surroundings.pop("TWOKEYS_MODEL", None)
    log = (home / "app.log").open("w+", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=surroundings,
    )
    try:
        url = _address(process, home)
        yield App(url, home, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _address(process: subprocess.Popen[str], home: Path) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        pytest.fail(f"the app did not start:\n{(home / 'app.log').read_text(encoding='utf-8')}")
    url = str(json.loads(line)["url"])
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return url
        except OSError:
            time.sleep(0.1)
    return pytest.fail("the app did not answer its health check")


def place_model(model: Path, home: Path) -> Path:
    """Put a model file into a data folder, without copying where the disk allows it."""
    folder = home / "models"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / model.name
    try:
        os.link(model, target)
    except OSError:
        shutil.copyfile(model, target)
    return target


def _write_conversations(home: Path) -> None:
    """Store a conversation with a picture from elsewhere, and one of 200 messages."""
    config = load_config({"TWOKEYS_HOME": str(home)})
    prepare_home(config)
    repository = Repository.open(config)
    stories = {
        PICTURE: ["Draw", "![stolen](https://example.org/secret.png)\n\nAfter the picture"],
        LONG_CONVERSATION: [
            f"{'Answer' if number % 2 else 'Question'} number {number}" for number in range(200)
        ],
    }
    for name, texts in stories.items():
        repository.create_conversation(Conversation(name, name, 1.0, 1.0))
        parent: str | None = None
        for number, text in enumerate(texts):
            role: Role = "assistant" if number % 2 else "user"
            message = Message(f"{name}-{number:04}", name, parent, role, text, float(number))
            parent = repository.add_message(message).id
    repository.close()


@pytest.fixture(scope="module")
def app(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One app with SmolLM2 for the journeys of a module; each journey has its own conversation."""
    home = tmp_path_factory.mktemp("home")
    place_model(smollm2, home)
    _write_conversations(home)
    with running_app(home) as running:
        yield running


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The system's Chromium, quiet."""
    result = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return {"executable_path": result, "args": CHROMIUM_ARGS} if result else {"args": CHROMIUM_ARGS}


@pytest.fixture
def browser_context_args() -> dict[str, Any]:
    return {"locale": "en-US", "viewport": {"width": 1440, "height": 900}}


@pytest.fixture(autouse=True)
def only_this_machine(context: BrowserContext) -> Iterator[None]:
    """No request may leave the machine during any journey."""
    strangers: list[str] = []

    def see(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
            "127.0.0.1",
            "localhost",
        ):
            strangers.append(url)

    def watch(page: Page) -> None:
        page.on("websocket", lambda socket: see(socket.url))

    context.on("request", lambda request: see(request.url))
    context.on("page", watch)
    yield
    assert strangers == []


@pytest.fixture
def chat(page: Page, app: App) -> "Chat":
    """The chat page with a new conversation."""
    return Chat(page, app.url).open()


AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
STOOD_STILL = """async () => {
    const ends = (one) => one.effect?.getComputedTiming().endTime !== Infinity
    const moving = document.getAnimations().filter(ends)
    const late = new Promise((done) => setTimeout(done, 5000))  // one that is paused never ends
    await Promise.race([Promise.allSettled(moving.map((one) => one.finished)), late])
}"""


def rest(page: Page) -> None:
    """Wait until the page is drawn and stands still: a button that moves under the hand is not pressed."""
    expect(page.locator(AT_REST)).to_be_attached(timeout=90_000)
    page.evaluate(STOOD_STILL)


class Chat:
    """What a person does on the chat page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self) -> "Chat":
        self.page.goto(self.url)
        expect(self.box).to_be_visible()
        if self.page.locator(".tk-list").count():
            self.page.locator(".st-key-conversation_new button").click()
        expect(self.page.locator(".st-key-examples")).to_be_visible()
        self.page.locator(".st-key-chat_send textarea[data-takes-files]").wait_for()
        return self

    @property
    def box(self) -> Any:
        return self.page.locator(".st-key-chat_send textarea")

    @property
    def answers(self) -> Any:
        return self.page.locator(".tk-assistant")

    @property
    def growing(self) -> Any:
        return self.page.locator(".tk-growing .tk-md")

    def ask(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")

    def ask_and_wait(self, text: str) -> None:
        before = self.page.locator(".tk-assistant .tk-foot .tk-figures").count()
        self.ask(text)
        expect(self.page.locator(".tk-assistant .tk-foot .tk-figures")).to_have_count(
            before + 1, timeout=90_000
        )

    def wait_for_more_than(self, length: int) -> None:
        """Wait until the growing answer has more characters than this."""
        deadline = time.monotonic() + 60
        while len(self.page.locator(".tk-assistant .tk-md").last.inner_text()) <= length:
            assert time.monotonic() < deadline, "the answer did not grow"
            self.page.wait_for_timeout(50)

    def conversation(self) -> str:
        return urlsplit(self.page.url).query
