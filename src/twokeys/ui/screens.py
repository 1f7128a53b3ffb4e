"""The table of all pages in their order: a new screen is a view, its texts and one row here.

A view is loaded when its page is first drawn: the first page is up sooner without the others.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from twokeys.ui.pages import Pages, Screen
from twokeys.ui.style import THEME
from twokeys.ui.warm_up import warm_up
from twokeys.web.site import Site


def drawn_by(name: str) -> Callable[[Pages], None]:
    """Return what draws the page of a name: `draw` in the view of that name."""

    def draw(pages: Pages) -> None:
        import_module(f"twokeys.ui.views.{name}").draw(pages)

    return draw


def _screen(name: str, place: str, icon: str) -> Screen:
    return Screen(name, drawn_by(name), place, icon)


SCREENS: tuple[Screen, ...] = (
    _screen("chat", "chat", "chat_bubble"),  # the first one is the start page
    _screen("compare", "compare", "view_week"),
    _screen("writing", "writing", "edit_note"),
    _screen("lab", "lab", "science"),
    _screen("handbook", "lab", "menu_book"),
    _screen("conversations", "chat", "history"),
    _screen("settings", "settings", "settings"),
    _screen("models", "settings", "deployed_code"),
    _screen("memory", "settings", "memory"),
    _screen("prompts", "settings", "text_snippet"),
    _screen("api", "settings", "api"),
)


def site() -> Site:
    """Return what the server serves: the app's script, its pages and its looks."""
    script = Path(str(files("twokeys.ui").joinpath("app.py")))
    return Site(script, tuple(screen.name for screen in SCREENS[1:]), THEME, warm_up)
