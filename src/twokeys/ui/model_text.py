"""Text that a model wrote, drawn by Streamlit: read by our own reader, as in documents, never by Streamlit's.

What the chat shows is drawn by the browser component; tests/cases/markdown.toml holds for both readers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from twokeys.manuscript.page import render

CURSOR = " ▍"
_BEGIN, _END = "\ue000", "\ue001"
"""Stand in the text for the ends of a mark while it is read: characters without a meaning of their own."""

_NO_ENDS = str.maketrans(dict.fromkeys(_BEGIN + _END, "\ufffd"))


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters of the text that are shown on a coloured ground; no Markdown begins or ends in them."""

    start: int
    end: int


def draw(text: str, *, growing: bool = False, marks: Sequence[Mark] = ()) -> None:
    """Draw a model's text. growing: with a cursor behind it; nothing while there is no text yet."""
    st.markdown(markup(text + CURSOR if growing and text else text, marks), unsafe_allow_html=True)


def markup(text: str, marks: Sequence[Mark] = ()) -> str:
    """Return a model's text as HTML in which Streamlit finds nothing more to read.

    It stands in one line, so that all of it is one block of HTML: no Markdown, no formula, no directive. All
    HTML of the model's own is escaped by then.
    """
    text = text.translate(_NO_ENDS)
    for mark in sorted(marks, key=lambda mark: -mark.start):
        text = f"{text[: mark.start]}{_BEGIN}{text[mark.start : mark.end]}{_END}{text[mark.end :]}"
    html = render(text).replace(_BEGIN, "<mark>").replace(_END, "</mark>")
    # Streamlit replaces this beginning of an icon's name before it reads anything
    html = html.replace(":material/", "&#58;material/")
    return f'<div class="tk-prose">{html.rstrip().replace(chr(10), "&#10;")}</div>'
