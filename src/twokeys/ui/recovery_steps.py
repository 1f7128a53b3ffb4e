"""The recovery steps, taken by hand: drawn in the dialog of a failed answer and on the
memory page. Each button takes exactly its step; nothing else changes. Also how taken steps are told.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from twokeys.core.recovery import RecoveryStep, StepName
from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.units import memory_text


def draw(conversation_id: str, answer_id: str | None, *, place: str) -> None:
    """Draw every step that can be taken now. place: keeps the keys of two places apart."""
    recovery = state.services().recovery
    try:
        steps = recovery.steps(conversation_id, answer_id)
    except TwoKeysError as error:
        widgets.error(error)
        return
    if not steps:
        widgets.note(t("memory.steps.nothing"))
    for number, step in enumerate(steps, start=1):
        with st.container(key=f"recovery_step_{place}_{step.name}"):
            text, tools = st.columns([3, 1], vertical_alignment="center", gap="small")
            with text:
                widgets.html(_description(number, step))
            with tools:
                _button(step, conversation_id, answer_id, place)


def describe_taken(step: Mapping[str, Any]) -> str:
    """Say in one sentence what a step has changed, as an answer's provenance keeps it."""
    name = step["step"]
    text = t(f"memory.steps.{name}.title")
    if step.get("before") is not None:
        text = f"{text} {_value(step['before'])} → {_value(step['after'])}"
    notes = []
    if step.get("context"):
        before, after = (count_text(tokens) for tokens in step["context"])
        notes.append(t("memory.steps.context", before=before, after=after).rstrip(".。"))
    if name == "temperature":
        notes.append(t("chat.recovery.temperature"))
    return t("chat.recovery.step", step=text, note=" ".join(notes)) if notes else text


def _description(number: int, step: RecoveryStep) -> str:
    change = ""
    if step.before is not None:
        change = f'<span class="tk-under">{escape(_value(step.before))} → {escape(_value(step.after))}</span>'
    if step.name == "temperature":
        saved = t("memory.steps.frees_nothing")
    elif step.frees_bytes:
        saved = t("memory.steps.frees", size=memory_text(step.frees_bytes))
    else:
        saved = ""
    note = t(f"memory.steps.{step.name}.note")
    if step.context is not None:
        before, after = (count_text(tokens) for tokens in step.context)
        note = f"{note} {t('memory.steps.context', before=before, after=after)}"
    title = escape(t(f"memory.steps.{step.name}.title"))
    return (
        f'<div class="tk-recovery-step"><b>{number}. {title}</b> {change}'
        f"<p>{escape(note)} <em>{escape(saved)}</em></p></div>"
    )


def _value(value: float | str | None) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _button(step: RecoveryStep, conversation_id: str, answer_id: str | None, place: str) -> None:
    if step.name == "model":
        with st.popover(t("memory.steps.model.choose"), key=f"take_{place}_model", width="stretch"):
            installed = {entry.name for entry in state.services().models.list() if entry.installed}
            here = [name for name in step.names if name in installed]
            if not here:
                widgets.note(t("memory.steps.model.none", names=", ".join(step.names[:3])))
            for name in here:
                st.button(name, key=f"take_{place}_model_{name}", on_click=_switch, args=(name,))
        return
    st.button(
        t("memory.steps.take"),
        key=f"take_{place}_{step.name}",
        on_click=_take,
        args=(step.name, conversation_id, answer_id),
        width="stretch",
    )


def _take(name: StepName, conversation_id: str, answer_id: str | None) -> None:
    try:
        taken = state.services().recovery.apply(conversation_id, name, answer_id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    if taken is not None:
        notices.tell(notices.Notice(t("memory.steps.taken", step=t(f"memory.steps.{name}.title"))))


def _switch(name: str) -> None:
    try:
        state.services().switch_model(name)
    except TwoKeysError as error:
        notices.tell_error(error)
