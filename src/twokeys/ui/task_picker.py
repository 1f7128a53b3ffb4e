"""What a message is for: the task picker beside the message box, with keys, reason and Automatic (S16).

Choosing a task sets what the person has not set by hand; see core.advice.advisor.
"""

import streamlit as st

from twokeys.core.advice.advisor import AutomaticChoice
from twokeys.core.advice.tasks import BY_NAME, TASKS, Task
from twokeys.errors import TwoKeysError
from twokeys.types import Conversation
from twokeys.ui import drafts, evidence, notices, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t

KEYS = ("temperature", "max_new_tokens")
HELD_OUT_RIGHT = "95 %"
HELD_OUT_COUNT = 78
"""Of the rules on the held-out labelled messages; see docs/advice.md and its test."""
_CHOSEN = state.TabValue[tuple[str, AutomaticChoice | None]]("chosen", ("", None))


def draw(conversation: Conversation) -> None:
    """Draw the button that opens the picker, and what Automatic chose for the last message."""
    advice = state.services().advice
    chosen = chosen_for(conversation.id)
    task = BY_NAME.get(conversation.settings.task or "")
    automatic = advice.automatic and task is None
    with st.container(key="task_row", horizontal=True, vertical_alignment="center", gap="small"):
        with st.popover(
            _label(task, chosen if automatic else None, automatic=automatic),
            icon=":material/auto_awesome:" if automatic else ":material/target:",
            key="task_picker",
            type="tertiary",
        ):
            _question(conversation, task, automatic=automatic)
        if automatic and chosen is not None:
            widgets.html(f'<span class="tk-under" role="status">{escape(_choice_text(chosen))}</span>')


def chosen_for(conversation_id: str) -> AutomaticChoice | None:
    """Return what Automatic chose for the conversation's last message in this tab."""
    chosen_in, chosen = _CHOSEN.get()
    return chosen if chosen_in == conversation_id else None


def keep_chosen(conversation_id: str, chosen: AutomaticChoice | None) -> None:
    """Remember what Automatic chose, for the line beside the message box."""
    _CHOSEN.set((conversation_id, chosen))


def keys_text(temperature: float, tokens: int) -> str:
    """Return both keys in one short text."""
    return t("advice.picker.keys", temperature=f"{temperature:g}", tokens=tokens)


def _label(task: Task | None, chosen: AutomaticChoice | None, *, automatic: bool) -> str:
    if task is not None:
        return t("advice.picker.button_task", task=t(f"advice.task.{task.name}.title"))
    if chosen is not None and chosen.guess.task is not None:
        return t("advice.picker.button_auto_task", task=t(f"advice.task.{chosen.guess.task.name}.title"))
    return t("advice.picker.button_auto") if automatic else t("advice.picker.button")


def _choice_text(chosen: AutomaticChoice) -> str:
    if chosen.guess.task is None:
        return t("advice.auto.unsure")
    shown = {
        "task": t(f"advice.task.{chosen.guess.task.name}.title"),
        "confidence": f"{chosen.guess.confidence:.0%}",
    }
    if set(chosen.changes) != set(KEYS):
        return t("advice.auto.chose", **shown)
    keys = keys_text(chosen.changes["temperature"], chosen.changes["max_new_tokens"])
    return t("advice.auto.chose_keys", **shown, keys=keys)


def _question(conversation: Conversation, task: Task | None, *, automatic: bool) -> None:
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("advice.picker.question"))}</h3>'
        f"<p>{escape(t('advice.picker.lead'))}</p></div>"
    )
    chosen = task.name if task else None
    key = state.popover_key("task_choice", chosen)
    st.pills(
        t("advice.picker.question"),
        [known_task.name for known_task in TASKS],
        default=chosen,
        format_func=_title_with_keys,
        key=key,
        on_change=_chosen,
        args=(key, conversation.id),
        label_visibility="collapsed",
    )
    if task is not None:
        _reason(conversation, task)
    _reasons()
    _automatic(conversation, on=automatic)


def _title_with_keys(name: str) -> str:
    task = BY_NAME[name]
    return f"{t(f'advice.task.{name}.title')} :gray[{task.temperature:g} · {task.max_new_tokens}]"


def _reasons() -> None:
    """Draw the reason of every task, to be read before one is chosen."""
    rows = "".join(
        f"<dt>{escape(t(f'advice.task.{task.name}.title'))}</dt>"
        f"<dd>{escape(t(f'advice.task.{task.name}.why'))}<br>"
        f"<small>{escape(evidence.text(task.name))}</small></dd>"
        for task in TASKS
    )
    with st.expander(t("advice.picker.reasons"), key="task_reasons"):
        widgets.html(f'<dl class="tk-reasons">{rows}</dl>')


def _reason(conversation: Conversation, task: Task) -> None:
    sampling = conversation.settings.sampling
    held = [
        name
        for name in KEYS
        if name in conversation.settings.pinned and getattr(sampling, name) != task.changes[name]
    ]
    marks = [keys_text(sampling.temperature, sampling.max_new_tokens)]
    if task.check_facts:
        marks.append(t("advice.picker.check_facts"))
    if task.segments:
        marks.append(t("advice.picker.segments"))
    widgets.html(
        f'<p class="tk-note"><b>{escape(" · ".join(marks))}</b><br>'
        f"{escape(t(f'advice.task.{task.name}.why'))}</p>"
    )
    evidence.draw(task.name, key="evidence_task")
    if held:
        names = t("advice.picker.and").join(t(f"advice.picker.{name}") for name in held)
        widgets.note(t("advice.picker.pinned", names=names))
        st.button(
            t("advice.picker.unpin"), key="task_unpin", on_click=_unpin, args=(conversation.id, tuple(held))
        )


def _automatic(conversation: Conversation, *, on: bool) -> None:
    advice = state.services().advice
    key = state.popover_key("task_automatic", on)
    st.toggle(
        t("advice.auto.label"),
        value=on,
        key=key,
        help=t("advice.auto.help"),
        on_change=_automatic_changed,
        args=(key, conversation.id),
    )
    if not on:
        return
    by = state.popover_key("task_by", advice.by)
    st.segmented_control(
        t("advice.auto.by"),
        ["rules", "model"],
        default=advice.by,
        format_func=lambda name: t(f"advice.auto.by_{name}"),
        key=by,
        required=True,
        on_change=_by_changed,
        args=(by,),
        label_visibility="collapsed",
    )
    widgets.note(t(f"advice.auto.by_note_{advice.by}", count=HELD_OUT_COUNT, share=HELD_OUT_RIGHT))


def _chosen(key: str, conversation_id: str) -> None:
    name = state.value_of(key)
    _try_choose(conversation_id, str(name) if name else None)


def _try_choose(conversation_id: str, name: str | None) -> None:
    try:
        state.services().advice.choose(conversation_id, name, drafts.seen(conversation_id))
    except TwoKeysError as error:
        notices.tell_error(error)


def _unpin(conversation_id: str, names: tuple[str, ...]) -> None:
    try:
        state.services().advice.unpin(conversation_id, names)
    except TwoKeysError as error:
        notices.tell_error(error)


def _automatic_changed(key: str, conversation_id: str) -> None:
    on = bool(state.value_of(key))
    state.services().advice.automatic = on
    if on:
        _try_choose(conversation_id, None)


def _by_changed(key: str) -> None:
    state.services().advice.by = "model" if state.value_of(key) == "model" else "rules"
