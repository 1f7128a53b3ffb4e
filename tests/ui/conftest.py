"""The screens driven by Streamlit's AppTest, over real Services with the scripted engine."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from twokeys.config import load_config
from twokeys.engines.scripted import Say, Script, ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.web.runtime import set_services

APP = Path(__file__).resolve().parents[2] / "src" / "twokeys" / "ui" / "app.py"
ANSWER = "Recursion is **a function calling itself**."
SCRIPT = (Say(ANSWER),)


class Browser:
    """One tab: a page of the app in one language."""

    def __init__(self, services: Services, page: str = "", language: str = "en", **query: str) -> None:
        self.services = services
        self.at = AppTest.from_file(str(APP), default_timeout=60)
        self.at.session_state["language"] = language
        if page:
            self.at._page_hash = calc_hash(page)
        for name, value in query.items():
            self.at.query_params[name] = value

    def run(self) -> "Browser":
        self.at.run()
        self.check()
        return self

    def check(self) -> None:
        """No exception may be on any page."""
        assert not self.at.exception, self.at.exception[0].stack_trace

    def click(self, key: str) -> None:
        self.at.button(key=key).click().run()
        self.check()

    def say(self, text: str) -> None:
        self.at.chat_input(key="chat_send").set_value(text).run()
        self.check()

    @property
    def conversation(self) -> str:
        value = self.at.query_params["c"]
        return value if isinstance(value, str) else value[0]

    def text(self) -> str:
        """All that is written on the page and in the sidebar."""
        at = self.at
        kinds = (at.markdown, at.text, at.get("html"), at.caption, at.get("page_link"))
        result = []
        for kind in kinds:
            for element in kind:
                proto = element.proto
                result.append(str(getattr(proto, "body", "") or getattr(proto, "label", "")))
        result += [str(button.label) for button in at.button]
        return "\n".join(result)


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Let Streamlit look through the installed packages for components once, and not for every new tab.

    In an environment with all that the tests need, that is three quarters of a tab's first run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture
def make_services(home: Path) -> Iterator[Callable[..., Services]]:
    """Build Services over a scripted engine (or none) and make them the app's."""
    built: list[Services] = []

    def make(script: Script = SCRIPT, *, model: bool = True, context: int = 8192) -> Services:
        engine = ScriptedEngine(script, context=context, memory=600 << 20) if model else None
        services = build_services(load_config(), engine=engine)
        built.append(services)
        set_services(services)
        return services

    yield make
    set_services(None)
    for services in built:
        services.close()


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


@pytest.fixture
def open_tab(services: Services) -> Callable[..., Browser]:
    """Open a tab on a page; `plain` by default, as AppTest has no JavaScript."""

    def open_one(page: str = "", language: str = "en", **query: str) -> Browser:
        return Browser(services, page, language, **{"plain": "1", **query}).run()

    return open_one


def finish(services: Services, conversation_id: str, timeout_s: float = 10.0) -> None:
    """Wait until nothing is written in a conversation any more."""
    deadline = time.monotonic() + timeout_s
    while services.jobs.views(conversation_id):
        if time.monotonic() > deadline:
            pytest.fail("the answer did not end")
        time.sleep(0.02)
