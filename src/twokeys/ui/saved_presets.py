"""Saving a preset of one's own: done at once, or asked about when it would replace another one."""

from collections.abc import Callable

import streamlit as st

from twokeys.errors import PresetTaken, TwoKeysError
from twokeys.types import Preset
from twokeys.ui import notices, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t

Save = Callable[[bool], Preset]
"""Saves a preset; the argument says whether it may replace one of the same name."""


def save(save_preset: Save) -> None:
    """Save and say so. Where the name is taken, the next drawing asks whether to replace that one."""
    try:
        preset = save_preset(False)
    except PresetTaken as error:
        notices.ask("replace_preset", taken=error.params["name"], save_preset=save_preset)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        _say_saved(preset)


def draw_question(taken: str, save_preset: Save) -> None:
    """Draw the dialog that asks whether to replace the preset whose name is taken."""
    widgets.html(f'<p class="tk-lead">{escape(t("chat.replace_preset.lead", name=taken))}</p>')
    with st.container(horizontal=True):
        if st.button(t("chat.replace_preset.replace"), key="replace_preset_yes", type="primary"):
            try:
                _say_saved(save_preset(True))
            except TwoKeysError as error:
                notices.tell_error(error)
            notices.close_question()
            st.rerun()
        if st.button(t("chat.replace_preset.back"), key="replace_preset_no", type="tertiary"):
            notices.close_question()
            st.rerun()


def _say_saved(preset: Preset) -> None:
    notices.tell(notices.Notice(t("sidebar.presets.saved", name=preset.name)))
