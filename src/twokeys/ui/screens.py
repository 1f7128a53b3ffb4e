"""The table of all pages in their order: a new screen is a view, its texts and one row here."""

from importlib.resources import files
from pathlib import Path

from twokeys.ui.pages import Screen
from twokeys.ui.style import THEME
from twokeys.ui.views import (
    chat,
    compare,
    conversations,
    handbook,
    lab,
    memory,
    models,
    settings,
    writing,
)
from twokeys.web.site import Site

SCREENS: tuple[Screen, ...] = (
    Screen("chat", chat.draw),  # the first one is the start page
    Screen("compare", compare.draw),
    Screen("writing", writing.draw),
    Screen("lab", lab.draw),
    Screen("handbook", handbook.draw),
    Screen("conversations", conversations.draw),
    Screen("models", models.draw),
    Screen("memory", memory.draw),
    Screen("settings", settings.draw),
)


def site() -> Site:
    """Return what the server serves: the app's script, its pages and its looks."""
    script = Path(str(files("twokeys.ui").joinpath("app.py")))
    return Site(script, tuple(screen.name for screen in SCREENS[1:]), THEME)
