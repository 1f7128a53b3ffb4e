"""The form in which tags are given: those in use to press, and a field for new ones."""

import re
from collections.abc import Sequence

import streamlit as st

from twokeys.ui import state
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t

SEPARATORS = re.compile("[,，、;；\n]")


def draw(key: str, has: Sequence[str]) -> list[str] | None:
    """Draw the form; `has`: the tags that are on. Return the tags wanted once it is sent, else None."""
    known = state.services().conversations.tags()
    with st.form(f"{key}_form", border=False):
        chosen: list[str] = []
        if known:
            chosen = st.pills(
                t("ui.tags_used"),
                known,
                selection_mode="multi",
                default=list(has),
                format_func=markdown_label,
                key=f"{key}_used {' '.join(has)}",  # with others on, another row
            )
        new = st.text_input(t("ui.tags_new"), key=f"{key}_new", placeholder=t("ui.tags_new_hint"))
        sent = st.form_submit_button(t("ui.save"), key=f"{key}_save", type="primary", width="stretch")
    return [*chosen, *SEPARATORS.split(new or "")] if sent else None
