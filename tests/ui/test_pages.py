"""The table of pages: one row each, known by name everywhere; a page that Streamlit refuses is drawn anew."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from tests.ui.conftest import Browser

from twokeys.i18n import catalogue
from twokeys.ui import screens
from twokeys.ui.pages import Pages, Screen
from twokeys.ui.screens import SCREENS, site

UI = Path(screens.__file__).parent
NAMES = [screen.name for screen in SCREENS]


def links_on(tab: Browser) -> list[str]:
    return [str(link.proto.label) for link in tab.at.get("page_link")]


def title(name: str) -> str:
    return str(catalogue()[f"ui.page.{name}"]["en"])


def test_five_places_are_in_the_sidebar_and_every_other_page_is_a_tab_of_one(
    open_tab: Callable[..., Browser],
) -> None:
    places = ["chat", "compare", "writing", "lab", "settings"]
    assert [screen.name for screen in SCREENS if screen.is_place] == places
    assert links_on(open_tab())[:5] == [title(name) for name in places]
    for place in ("lab", "settings"):
        beside = [title(screen.name) for screen in SCREENS if screen.place == place]
        for screen in SCREENS:
            if screen.place == place:
                shown = links_on(open_tab(screen.name))
                assert any(shown[at : at + len(beside)] == beside for at in range(len(shown))), screen.name
    assert {screen.name for screen in SCREENS if screen.place == "chat"} == {"chat", "conversations"}


def test_the_server_is_told_the_address_of_every_page_but_the_first() -> None:
    assert site().pages == tuple(NAMES[1:])
    assert site().script == UI / "app.py"


def test_links_between_screens_name_pages_of_the_table() -> None:
    named = {name for path in UI.rglob("*.py") for name in pages_named(path)}
    assert named
    assert named <= set(NAMES)


def pages_named(path: Path) -> set[str]:
    """The names in `pages["…"]` and `go_to("…")`."""
    seen: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "pages":
            named = node.slice
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("go_to"):
            named = node.args[0]
        else:
            continue
        if isinstance(named, ast.Constant):
            seen.add(str(named.value))
    return seen


class Misplaced:
    """A screen that draws into the wrong container, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def draw(self, pages: Pages) -> None:
        self.times -= 1
        if self.times >= 0:
            with st.sidebar, st.bottom:
                st.text("never")
        st.text("the page itself")


@pytest.fixture
def misplaced(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def put(times: int) -> None:
        monkeypatch.setattr(
            screens, "SCREENS", (Screen("chat", Misplaced(times).draw, "chat", "chat"), *SCREENS[1:])
        )

    return put


def test_a_page_that_streamlit_refuses_once_is_drawn_anew(
    misplaced: Callable[[int], None], open_tab: Callable[..., Browser]
) -> None:
    misplaced(1)
    shown = open_tab().text()
    assert "the page itself" in shown
    assert 'class="tk-error"' not in shown


def test_a_page_that_streamlit_refuses_again_says_so_in_its_place(
    misplaced: Callable[[int], None], open_tab: Callable[..., Browser]
) -> None:
    misplaced(2)
    tab = open_tab()
    assert any('class="tk-error"' in str(element.proto.body) for element in tab.at.main.get("html"))
    tab.run()
    assert "the page itself" in tab.text()
