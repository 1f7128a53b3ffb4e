"""How a person wants the pages: theme, size of text, and the key that sends; the same for every browser.

Streamlit keeps a theme for each address of a browser; ours is stored and put into force by the page itself
(web.component.shell). Not set, the system decides.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import streamlit as st

from twokeys.ui import state
from twokeys.ui.words import t

Theme = Literal["system", "light", "dark"]
TextSize = Literal["small", "normal", "large", "largest"]
SendKey = Literal["enter", "ctrl_enter"]
THEME_SETTING, TEXT_SIZE_SETTING, SEND_KEY_SETTING = "ui.theme", "ui.text_size", "ui.send_key"
ROOT_PX: dict[TextSize, int] = {"small": 14, "normal": 16, "large": 18, "largest": 21}


def theme() -> Theme | None:
    """Return the theme a person chose, None when they never did."""
    stored = state.services().repository.get_setting(THEME_SETTING)
    return stored if stored in get_args(Theme) else None


def text_size() -> TextSize:
    """Return the size of text a person chose."""
    stored = state.services().repository.get_setting(TEXT_SIZE_SETTING)
    return stored if stored in get_args(TextSize) else "normal"


def send_key() -> SendKey:
    """Return what sends a message: Enter, or Ctrl / ⌘ and Enter, with Enter for a new line."""
    stored = state.services().repository.get_setting(SEND_KEY_SETTING)
    return "ctrl_enter" if stored == "ctrl_enter" else "enter"


def sheet() -> str:
    """Return the style that puts the size of text into force, and tells the page's script which key sends."""
    rules = f"html{{font-size:{ROOT_PX[text_size()]}px!important}}" if text_size() != "normal" else ""
    if send_key() == "ctrl_enter":
        rules += ":root{--tk-send-key:ctrl_enter}"  # see web/static/base.js
    return f"<style>{rules}</style>" if rules else ""


def draw(name: str) -> None:
    """Draw the three choices. name: begins the keys of the widgets, which carry their values along."""
    _choice(name, "theme", get_args(Theme), theme() or "system", THEME_SETTING)
    _choice(name, "text_size", get_args(TextSize), text_size(), TEXT_SIZE_SETTING)
    _choice(name, "send_key", get_args(SendKey), send_key(), SEND_KEY_SETTING)


def _choice(name: str, what: str, options: Sequence[str], now: str, setting: str) -> None:
    key = state.popover_key(f"{name}_{what}", now)
    st.segmented_control(
        t(f"settings.look.{what}.label"),
        options,
        default=now,
        format_func=lambda option: t(f"settings.look.{what}.{option}"),
        key=key,
        required=True,
        on_change=_chosen,
        args=(key, setting),
    )


def _chosen(key: str, setting: str) -> None:
    state.services().repository.set_setting(setting, state.value_of(key))
