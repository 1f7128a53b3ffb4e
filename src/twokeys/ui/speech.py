"""Reading aloud and dictation by the browser's own speech, on this computer alone; off until switched on.

The same for every browser, but each has its own voices: what it has is seen in the browser only.
"""

from collections.abc import Sequence

import streamlit as st

from twokeys.ui import navigation, state, switch, widgets, words
from twokeys.ui.words import t
from twokeys.web.component import component_texts
from twokeys.web.component.dictation import dictation

READ_ALOUD_SETTING, DICTATION_SETTING = "ui.read_aloud", "ui.dictation"


def actions() -> Sequence[str]:
    """Return the buttons that an answer has besides the others."""
    return ("speak",) if _is_on(READ_ALOUD_SETTING) else ()


def draw_dictation(box: str) -> None:
    """Draw the button that dictates into the box of a CSS selector, where it is wanted and possible."""
    if _is_on(DICTATION_SETTING) and not navigation.plain():
        _dictation(box, "dictation")


def draw_switches() -> None:
    """Draw both switches, each with its sentence, and what this browser lacks."""
    with st.container(gap=None):
        _switch("read_aloud", READ_ALOUD_SETTING)
    with st.container(gap=None):
        _switch("dictation", DICTATION_SETTING)
        if not navigation.plain():
            _dictation(None, "settings_dictation_none")


def _switch(name: str, setting: str) -> None:
    switch.draw(
        t(f"settings.speech.{name}"),
        _is_on(setting),
        key=f"settings_{name}",
        change=lambda on: state.services().repository.set_setting(setting, on),
    )
    widgets.note(t(f"settings.speech.{name}_note"))


def _is_on(setting: str) -> bool:
    return state.services().repository.get_setting(setting) is True


def _dictation(box: str | None, key: str) -> None:
    texts = component_texts(words.language(), "dictation")
    dictation(box, texts=texts, language=words.language(), key=key)
