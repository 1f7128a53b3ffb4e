"""The conversation: its title, the transcript, the message box and how full the context is."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from twokeys.core.context import group_turns, turn_title
from twokeys.core.jobs import JobView
from twokeys.core.provenance import turning_point, was_cut_back
from twokeys.core.recovery import ran_out
from twokeys.errors import ContextExceeded, TwoKeysError
from twokeys.types import Conversation, Message
from twokeys.ui import (
    actions,
    advice,
    answer_form,
    attachments,
    downloads,
    drafts,
    first_screen,
    navigation,
    notices,
    recovery_steps,
    shortening,
    speech,
    state,
    structured,
    task_picker,
    typed_form,
    widgets,
    words,
)
from twokeys.ui.answering import ModelNow, answering, stand_in
from twokeys.ui.format import count_text, escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.units import duration_text
from twokeys.web.component import Action, component_texts, message_view, transcript


def draw(pages: Pages) -> None:
    """Draw the page of the conversation in the address."""
    conversation = navigation.conversation()
    services = state.services()
    model = answering(services)
    if model is not None and (waiting := actions.drop_waiting(conversation.id)):
        actions.submit(conversation, waiting)
    messages = services.jobs.overlay(services.conversations.messages(conversation.id))
    if model is None:
        downloads.draw_first_run()
    else:
        downloads.draw_switch_offer()
    if messages:
        _title(conversation)
        _transcript(conversation, messages)
        _recovered(messages[-1])
        _left_out(conversation, messages)
        shortening.offer(conversation.id, messages[-1])
    else:
        first_screen.draw(conversation)
        _transcript(conversation, messages)  # nothing to read, but it hears of a message sent in another tab
    if model is None:
        _waiting(conversation)
    else:
        services.early_start.page_opened()
    _message_box(conversation, model)


def _title(conversation: Conversation) -> None:
    widgets.html(f'<div class="tk-title"><h1>{escape(conversation.title or t("ui.untitled"))}</h1></div>')


# --- transcript ---------------------------------------------------------------------------------------


def _transcript(conversation: Conversation, messages: Sequence[Message]) -> None:
    shown = messages[-navigation.drawn_turns() :]
    hidden = len(messages) - len(shown)
    if navigation.plain():
        from twokeys.ui import plain

        plain.draw(shown, conversation.id, hidden)
        return
    jobs = {job.message_id: job for job in state.services().jobs.views(conversation.id)}
    options: dict[str, Any] = {
        "lang": words.language(),
        "earlier": hidden,
        "max_width": "100%",
        "actions": {
            "user": ["copy", "edit", "compare", "delete"],
            "assistant": [
                "copy",
                *speech.actions(),
                "regenerate",
                "continue",
                "compare",
                "details",
                "delete",
            ],
        },
    }
    options["resets"] = [
        {"after": mark.after, "kept": mark.keep_history, "summary": mark.summary}
        for mark in conversation.resets
    ]
    if (target := navigation.search_target(conversation.id)) is not None:
        options["found"] = {
            "message": target.message_id,
            "words": list(target.words),
            "token": target.token,
        }
    others = structured.can_gather(messages)
    views = [_view(message, jobs.get(message.id), others=others) for message in shown]
    if views and messages[-1].role == "user" and not jobs:
        views[-1]["unanswered"] = True
    transcript(
        views,
        topic=conversation.id,
        texts=component_texts(words.language()),
        options=options,
        key=f"transcript_{conversation.id}",
        on_action=_on_action,
    )


def _recovered(last: Message) -> None:
    """Say step by step what was changed to go on with the newest answer when memory was short."""
    steps = last.provenance.recovery
    if not steps or state.services().recovery.view(last.id) is None:
        return
    rows = "".join(f"<li>{escape(recovery_steps.describe_taken(step))}</li>" for step in steps)
    with st.container(key="recovered"):
        widgets.html(
            f'<div class="tk-note" role="status">{escape(t("chat.recovery.lead"))}<ol>{rows}</ol>'
            f"{escape(t('chat.recovery.stays'))}</div>"
        )


def _left_out(conversation: Conversation, messages: Sequence[Message]) -> None:
    """Name the turns that are not sent to the model, each with a way back."""
    turns = group_turns([message for message in messages if message.excluded])
    if not turns:
        return
    conversations = state.services().conversations

    def include(*wanted: list[Message]) -> None:
        ids = [message.id for turn in wanted for message in turn]
        actions.attempt(conversations.include, conversation.id, ids)

    with st.popover(
        t("chat.left_out.open", count=len(turns)),
        icon=":material/playlist_add:",
        key="left_out",
        type="tertiary",
    ):
        widgets.note(t("chat.left_out.lead"))
        for turn in turns:
            st.button(
                turn_title(turn),
                key=f"include_{turn[0].id}",
                icon=":material/undo:",
                on_click=include,
                args=(turn,),
                width="stretch",
                wrap=True,
            )
        if len(turns) > 1:
            st.button(
                t("chat.left_out.all"), key="include_all", on_click=include, args=turns, type="tertiary"
            )


def _on_action(action: Action) -> None:
    actions.perform(action, navigation.conversation())


def _view(message: Message, job: JobView | None, *, others: bool) -> dict[str, Any]:
    view = message_view(message)
    view["structured"] = structured.view(message, others=others)
    if message.role == "user" and message.provenance.documents:
        view["files"] = attachments.sent_files(message.provenance)
    provenance = message.provenance
    if job is not None and job.active:
        view["job"] = job.id
    if message.error:
        text, hint = words.error_text(message.error)
        view["error"] = {"code": str(message.error.get("code", "")), "message": text, "hint": hint}
        view["recover"] = ran_out(message)
        view["ways"] = message.error.get("code") == ContextExceeded.code
    if message.role == "assistant" and provenance:
        asked = provenance.sampling_set
        view["cut_at"] = (turning_point(message) or {}).get("cut_at_char")
        view["cut_back"] = was_cut_back(message)
        view["max_new_tokens"] = asked.get("max_new_tokens")
        view["context"] = provenance.context
        view["usage"] = {
            "prompt_tokens": provenance.prompt_tokens,
            "completion_tokens": provenance.completion_tokens,
            "cached_tokens": provenance.cached_tokens,
        }
        if "temperature" in asked:
            view["tags"] = [t("chat.tag.temperature", value=f"{asked['temperature']:g}")]
        if name := stand_in(state.services(), message):
            view["tags"] = [*view.get("tags", ()), t("chat.tag.model", name=name)]
        if provenance.recovery:
            view["tags"] = [*view.get("tags", ()), t("chat.tag.recovered")]
    return view


# --- message box ------------------------------------------------------------------------------------------


def _waiting(conversation: Conversation) -> None:
    text = actions.waiting_text(conversation.id)
    if text is None:
        return
    with st.container(key="turn_user_waiting"), st.chat_message("user"):
        st.text(text)
        widgets.note(t("chat.waiting.note"))
        if st.button(t("chat.waiting.take_back"), key="waiting_take_back", type="tertiary"):
            drafts.put_back(actions.drop_waiting(conversation.id) or "")
            st.rerun()


def _message_box(conversation: Conversation, model: ModelNow | None) -> None:
    has_model = model is not None
    draft = drafts.to_show("chat_send", conversation.id)
    if draft or (draft is not None and navigation.plain()):
        state.put_value("chat_send", draft)  # the reader in the browser empties it, but not while one types

    def context_line() -> None:
        if model is not None:
            _context_line(conversation, model)

    with st.bottom:
        attachments.draw_chips(conversation.id, lambda: notices.ask("pages", conversation_id=conversation.id))
        text = st.chat_input(
            t("chat.send.placeholder") if has_model else t("chat.send.placeholder_waiting"), key="chat_send"
        )
        with st.container(key="below", horizontal=True, vertical_alignment="center", gap="xsmall"):
            has_taken = attachments.draw_chooser(conversation.id)
            task_picker.draw(conversation)
            answer_form.draw(conversation)
            speech.draw_dictation(advice.BOX)
            with st.container(key="beside_task", gap=None):
                advice.draw(conversation.id, context_line)
    if text:
        actions.submit(conversation, str(text))
    if text or has_taken:
        st.rerun()


def _context_line(conversation: Conversation, model: ModelNow) -> None:
    """Say what the next message needs, with what is typed already; the whole sentence on hover."""
    services = state.services()
    try:
        documents = attachments.documents(conversation.id)
        text = drafts.seen(conversation.id)
        plan = typed_form.plan(conversation.id, text, documents)
    except TwoKeysError:
        return  # the message box itself tells when something is wrong
    used, coming = plan.prompt_tokens / plan.context, plan.max_new_tokens / plan.context
    about = "" if plan.exact else "≈ "
    whole = t(
        "chat.context.line",
        used=about + count_text(plan.prompt_tokens),
        context=count_text(plan.context),
        coming=count_text(plan.max_new_tokens),
    )
    keys = f"{conversation.settings.sampling.temperature:g} · {plan.max_new_tokens}"
    line = t("chat.context.short", keys=keys, share=f"{about}{used:.0%}")
    expected = services.expectation(plan)
    if expected is not None:
        seconds = duration_text(expected.total_s, words.language())
        line = f"{line} · {t('chat.context.short_time', seconds=seconds)}"
        whole = f"{whole} · {t('chat.context.time', seconds=seconds)}"
    if not model.main:  # said here too: the sidebar may be closed (S19)
        line = t("chat.context.model", name=model.name, line=line)
    kind = ""
    if not plan.fits:
        line, kind = f"{whole} · {t('chat.context.full')}", " full"
    bar = widgets.meter(used, coming, label=whole)
    widgets.html(
        f'<div class="tk-context{kind}" role="status" title="{escape(whole)}">'
        f"{bar}<span>{escape(line)}</span></div>"
    )
