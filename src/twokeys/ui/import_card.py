"""Bringing conversations in from a file: what came, what was left out, and what is here already."""

from dataclasses import dataclass

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.types import Imported
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.words import t

TYPES = ("json", "jsonl", "zip")
MOST_TOLD = 20
"""So many conversations that were left out are named; the rest is a number."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an uploaded file."""

    file_id: str
    imported: Imported | None = None
    error: TwoKeysError | None = None


_OUTCOME = state.TabValue[_Outcome | None]("imported", None)


def draw() -> None:
    """Draw the card."""
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("ui.import.title"))}</h3>'
        f"<p>{escape(t('ui.import.lead'))}</p></div>"
    )
    upload = st.file_uploader(
        t("ui.import.title"), type=TYPES, key="import_file", label_visibility="collapsed"
    )
    if upload is None:
        _OUTCOME.drop()
        return
    outcome = _OUTCOME.get()
    if outcome is None or outcome.file_id != upload.file_id:
        outcome = _take(upload.file_id, upload.getvalue(), upload.name)
        st.rerun()
    if outcome.error is not None:
        widgets.error(outcome.error)
    elif outcome.imported is not None:
        _tell(outcome.imported)
        if outcome.imported.already_here:
            origins = [here.origin for here in outcome.imported.already_here]
            st.button(
                t("ui.import.again", count=len(origins)),
                key="import_again",
                on_click=lambda: _again(upload.file_id, upload.getvalue(), upload.name, origins),
            )


def _take(file_id: str, data: bytes, name: str, again: list[str] | None = None) -> _Outcome:
    """Import a file; again: the origins to import once more, although they are here."""
    exchange = state.services().exchange
    try:
        outcome = _Outcome(file_id, exchange.import_file(data, name, again=again is not None, only=again))
    except TwoKeysError as error:
        outcome = _Outcome(file_id, error=error)
    _OUTCOME.set(outcome)
    return outcome


def _again(file_id: str, data: bytes, name: str, origins: list[str]) -> None:
    _take(file_id, data, name, origins)


def _tell(imported: Imported) -> None:
    """Say how many came and from where, and name what did not."""
    source = t(f"store.source.{imported.source}")
    widgets.note(t("ui.import.done", count=len(imported.conversation_ids), source=source))
    if imported.already_here:
        widgets.note(t("ui.import.already_here", count=len(imported.already_here)))
    if imported.left_out:
        rows = [
            f"<li>{escape(left_out.title)}: {escape(left_out.reason.in_language(words.language()))}</li>"
            for left_out in imported.left_out[:MOST_TOLD]
        ]
        lead = escape(t("ui.import.left_out", count=len(imported.left_out)))
        widgets.html(f'<div class="tk-note">{lead}<ul>{"".join(rows)}</ul></div>')
