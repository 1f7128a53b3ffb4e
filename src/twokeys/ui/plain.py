"""The transcript without JavaScript of ours: the same messages and jobs, drawn by Streamlit alone.

Used with `?plain=1`, where the live component cannot run, and by the tests. A running answer is
drawn by a fragment that repeats itself; it stops repeating when the job has ended.
"""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from twokeys.core.guard import describe
from twokeys.core.provenance import turning_point
from twokeys.core.recovery import ran_out
from twokeys.core.structured.schema import schema_of
from twokeys.types import CUT_REASONS, Message
from twokeys.ui import (
    actions,
    attachments,
    model_text,
    navigation,
    notices,
    state,
    structured,
    structured_plain,
    widgets,
    words,
)
from twokeys.ui.answering import stand_in
from twokeys.ui.format import escape
from twokeys.ui.words import t
from twokeys.units import duration_text
from twokeys.web.component import Action

REDRAW_S = 0.2


def draw(messages: Sequence[Message], conversation_id: str, hidden: int) -> None:
    """Draw the messages; `hidden` earlier ones are not in the list."""
    if hidden:
        st.button(
            t("chat.earlier", count=hidden),
            key="show_earlier",
            type="tertiary",
            on_click=navigation.draw_more_turns,
        )
    for message in messages:
        _message(message, conversation_id)
    if structured.can_gather(messages):
        st.button(
            t("transcript.structured.gather"),
            key="gather_rows",
            icon=":material/table_rows:",
            on_click=notices.ask,
            args=("gather",),
            kwargs={"conversation_id": conversation_id},
        )


def _message(message: Message, conversation_id: str) -> None:
    with st.container(key=f"turn_{message.role}_{message.id}"), st.chat_message(message.role):
        if message.excluded:
            widgets.html(widgets.tag(t("chat.excluded"), "plain"))
        if message.state in ("queued", "streaming"):
            running = state.services().jobs.of_message(message.id)
            active = running is not None and running.active
            st.fragment(_live, run_every=REDRAW_S if active else None)(message.id)
            return
        if message.role == "user":
            for file in attachments.sent_files(message.provenance):
                widgets.html(f'<span class="tk-under">{escape(file["name"])} · {escape(file["note"])}</span>')
            st.text(message.own_words)
        else:
            _answer(message)
        _tools(message, conversation_id)


def _live(message_id: str) -> None:
    """Draw a job as it is now; when it has ended, draw the whole page once more."""
    job = state.services().jobs.of_message(message_id)
    if job is None or not job.active:
        st.rerun()
    stored = state.services().conversations.message(message_id)
    structured_plain.draw_text(replace(stored, content=job.text), growing=True)
    if job.state == "queued":
        widgets.note(t("chat.phase.queued"))
    elif not job.text:
        widgets.note(t(f"chat.phase.{job.phase or 'starting'}"))
    elif job.stalled_s:
        widgets.note(t("chat.stalled", seconds=duration_text(job.stalled_s, words.language())))
    if st.button(t("chat.stop"), key=f"stop_{message_id}", icon=":material/stop_circle:"):
        state.services().jobs.stop(job.id)


def _answer(message: Message) -> None:
    if (schema := schema_of(message.provenance)) is not None:
        structured_plain.draw_plain(message, schema)
    else:
        model_text.draw(message.content)
    if message.error:
        widgets.error_card(*words.error_text(message.error))
    elif message.finish_reason in CUT_REASONS:
        settings = message.provenance.sampling_set
        text = t(f"chat.cut.{message.finish_reason}", max_new_tokens=settings.get("max_new_tokens", ""))
        widgets.note(structured.cut_line(message) or text)
    for event in message.provenance.guard:
        if event.kind != "stall":  # it is over
            widgets.note(describe(event, words.language()).title)
    timings = message.provenance.timings
    parts = []
    if name := stand_in(state.services(), message):
        parts.append(t("chat.tag.model", name=name))
    if tokens := message.provenance.completion_tokens:
        parts.append(f"{tokens} tokens")
    if timings.total_s is not None:
        parts.append(duration_text(timings.total_s, words.language()))
    if timings.tok_per_s:
        parts.append(f"{timings.tok_per_s:.1f} tok/s")
    if timings.ttft_s is not None:
        parts.append(t("chat.ttft", seconds=duration_text(timings.ttft_s, words.language())))
    if message.finish_reason:
        parts.append(t(f"chat.finish.{message.finish_reason}"))
    widgets.html(f'<div class="tk-under">{escape(" · ".join(parts))}</div>')


def _tools(message: Message, conversation_id: str) -> None:
    with st.container(horizontal=True, key=f"tools_{message.id}", gap="xsmall"):
        if message.versions > 1:
            _tool(message, "previous", ":material/chevron_left:", conversation_id, message.version > 1)
            widgets.html(f'<span class="tk-under">{message.version}/{message.versions}</span>')
            _tool(
                message,
                "next",
                ":material/chevron_right:",
                conversation_id,
                message.version < message.versions,
            )
        if message.role == "user":
            with st.popover(
                "", icon=":material/edit:", key=f"edit_{message.id}", type="tertiary", help=t("chat.edit")
            ):
                text = st.text_area(t("chat.edit"), value=message.own_words, key=f"edit_text_{message.id}")
                if st.button(t("chat.edit_send"), key=f"edit_send_{message.id}"):
                    actions.edit(conversation_id, message.id, text or "")
                    st.rerun()
        else:
            _tool(message, "regenerate", ":material/refresh:", conversation_id)
            if message.finish_reason in CUT_REASONS:
                _tool(message, "continue", ":material/play_arrow:", conversation_id)
            if message.finish_reason == "guard":
                _tool(message, "continue_differently", ":material/alt_route:", conversation_id)
            if turning_point(message):
                _tool(message, "cut_back", ":material/content_cut:", conversation_id)
            if ran_out(message):
                _tool(message, "recover", ":material/healing:", conversation_id)
                _tool(message, "recover_steps", ":material/stairs:", conversation_id)
            _tool(message, "details", ":material/info:", conversation_id)
        _tool(message, "compare", ":material/view_column:", conversation_id)
        _tool(message, "delete", ":material/delete:", conversation_id)


def _tool(message: Message, name: str, icon: str, conversation_id: str, enabled: bool = True) -> None:
    st.button(
        "",
        icon=icon,
        key=f"{name}_{message.id}",
        type="tertiary",
        help=t(f"chat.{name}"),
        disabled=not enabled,
        on_click=_act,
        args=(name, message, conversation_id),
    )


def _act(name: str, message: Message, conversation_id: str) -> None:
    step = {"previous": -1, "next": 1}.get(name)
    action = (
        Action("version", message.id, step=step, version=message.version + step)
        if step is not None
        else Action(name, message.id)
    )
    actions.perform(action, state.services().conversations.get(conversation_id))
