"""The ladder of recovery, step by step by hand: drawn in the dialog of a failed answer and on the
memory page. Each button takes exactly its step; nothing else changes. Also how taken steps are told.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from twokeys.core.recovery import Rung, RungName
from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets, words
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.units import memory_text


def draw(conversation_id: str, answer_id: str | None, *, place: str) -> None:
    """Draw every step that can be taken now. place: keeps the keys of two places apart."""
    recovery = state.services().recovery
    try:
        rungs = recovery.rungs(conversation_id, answer_id)
    except TwoKeysError as error:
        widgets.error_card(error.message(words.language()), error.hint(words.language()))
        return
    if not rungs:
        widgets.note(t("memory.ladder.nothing"))
    for number, rung in enumerate(rungs, start=1):
        with st.container(key=f"rung_{place}_{rung.name}"):
            text, tools = st.columns([3, 1], vertical_alignment="center", gap="small")
            with text:
                widgets.html(_description(number, rung))
            with tools:
                _button(rung, conversation_id, answer_id, place)


def told(step: Mapping[str, Any]) -> str:
    """Say in one sentence what a step has changed, as an answer's provenance keeps it."""
    name = step["rung"]
    text = t(f"memory.ladder.{name}.title")
    if step.get("before") is not None:
        text = f"{text} {_value(step['before'])} → {_value(step['after'])}"
    notes = []
    if step.get("context"):
        before, after = (count_text(tokens) for tokens in step["context"])
        notes.append(t("memory.ladder.context", before=before, after=after).rstrip(".。"))
    if name == "temperature":
        notes.append(t("chat.recovery.temperature"))
    return t("chat.recovery.step", step=text, note=" ".join(notes)) if notes else text


def _description(number: int, rung: Rung) -> str:
    change = ""
    if rung.before is not None:
        change = f'<span class="tk-under">{escape(_value(rung.before))} → {escape(_value(rung.after))}</span>'
    if rung.name == "temperature":
        saved = t("memory.ladder.frees_nothing")
    elif rung.frees_bytes:
        saved = t("memory.ladder.frees", size=memory_text(rung.frees_bytes))
    else:
        saved = ""
    note = t(f"memory.ladder.{rung.name}.note")
    if rung.context is not None:
        before, after = (count_text(tokens) for tokens in rung.context)
        note = f"{note} {t('memory.ladder.context', before=before, after=after)}"
    return (
        f'<div class="tk-rung"><b>{number}. {escape(t(f"memory.ladder.{rung.name}.title"))}</b> {change}'
        f"<p>{escape(note)} <em>{escape(saved)}</em></p></div>"
    )


def _value(value: float | str | None) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _button(rung: Rung, conversation_id: str, answer_id: str | None, place: str) -> None:
    if rung.name == "model":
        with st.popover(t("memory.ladder.model.choose"), key=f"take_{place}_model", width="stretch"):
            installed = {entry.name for entry in state.services().models.list() if entry.installed}
            here = [name for name in rung.names if name in installed]
            if not here:
                widgets.note(t("memory.ladder.model.none", names=", ".join(rung.names[:3])))
            for name in here:
                st.button(name, key=f"take_{place}_model_{name}", on_click=_switch, args=(name,))
        return
    st.button(
        t("memory.ladder.take"),
        key=f"take_{place}_{rung.name}",
        on_click=_take,
        args=(rung.name, conversation_id, answer_id),
        width="stretch",
    )


def _take(name: RungName, conversation_id: str, answer_id: str | None) -> None:
    try:
        taken = state.services().recovery.apply(conversation_id, name, answer_id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    if taken is not None:
        notices.tell(notices.Notice(t("memory.ladder.taken", step=t(f"memory.ladder.{name}.title"))))


def _switch(name: str) -> None:
    try:
        state.services().switch_model(name)
    except TwoKeysError as error:
        notices.tell_error(error)
