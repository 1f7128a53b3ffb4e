"""What a person can do in a conversation, with the errors told instead of raised.

Used by the screens and dialogs; draws nothing but a spinner while memory is given back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from twokeys.core.advice.advisor import AutomaticChoice
from twokeys.errors import ContextExceeded, EmptyMessage, ModelMissing, TwoKeysError
from twokeys.types import Conversation
from twokeys.ui import attachments, drafts, navigation, notices, state, task_picker, typed_form
from twokeys.ui.answering import answering
from twokeys.ui.words import t
from twokeys.web.component import Action

WAITING_SETTING = "ui.waiting."


@dataclass(frozen=True, slots=True)
class Released:
    """What the last force clear of a tab gave back, in bytes."""

    conversation_id: str
    before_bytes: int
    after_bytes: int
    freed_bytes: int


RELEASED = state.TabValue[Released | None]("released", None)


def submit(conversation: Conversation, text: str) -> None:
    """Send a message; ask first when it does not fit, and keep it waiting when no model is there."""
    services = state.services()
    notices.forget_errors()
    if conversation.archived:  # it is in use again
        services.conversations.archive(conversation.id, False)
    try:
        if typed_form.take(conversation.id, text):
            drafts.see(conversation.id, "")
            return
    except TwoKeysError as error:
        drafts.put_back(text)
        notices.tell_error(error)
        return
    if answering(services) is None:
        services.repository.set_setting(WAITING_SETTING + conversation.id, text)
        drafts.see(conversation.id, "")
        return
    drafts.see(conversation.id, text)  # until it is sent: a reload meanwhile must not lose it
    try:
        question = typed_form.message(text).question
        task_picker.keep_chosen(conversation.id, _read_task(conversation, question))
        send(conversation.id, text)
    except ContextExceeded:
        notices.ask("not_fit", conversation_id=conversation.id, text=text)
    except EmptyMessage as error:
        notices.tell_error(error)
    except ModelMissing:
        services.repository.set_setting(WAITING_SETTING + conversation.id, text)
        drafts.see(conversation.id, "")
    except TwoKeysError as error:
        drafts.put_back(text)
        notices.tell_error(error)


def send(conversation_id: str, text: str) -> None:
    """Send a message with the files that wait for it. Raises what `Answers.send` raises, with all kept.

    A form that was typed above it is asked for. Where files wait the engine is started first: what they
    take is counted before anything is sent.
    """
    services = state.services()
    files = services.draft_files
    waiting = files.waiting(conversation_id)
    sent = attachments.counted(waiting).attachments
    documents = [attachment.document for attachment in sent]
    plan = typed_form.plan(conversation_id, text, documents)
    if not plan.fits:
        raise ContextExceeded(
            prompt_tokens=plan.prompt_tokens, max_new_tokens=plan.max_new_tokens, context=plan.context
        )
    asked = typed_form.message(text)
    services.answers.send(conversation_id, asked.question, attachments=sent, answer_schema=asked.schema)
    files.drop(waiting)
    attachments.forget_refusals()
    drafts.see(conversation_id, "")


def _read_task(conversation: Conversation, text: str) -> AutomaticChoice | None:
    """Let Automatic read the task; where it asks the model, the wait is shown."""
    advice = state.services().advice
    material = attachments.material_tokens(conversation.id)
    if advice.automatic and conversation.settings.task is None and advice.asks_model():
        with st.spinner(t("advice.auto.asking")):
            return advice.before_sending(conversation.id, text, material_tokens=material)
    return advice.before_sending(conversation.id, text, material_tokens=material)


def edit(conversation_id: str, question_id: str, text: str) -> None:
    """Ask a question in another way; ask first when that does not fit."""
    _again(conversation_id, text, question_id, None)


def regenerate(conversation_id: str, answer_id: str) -> None:
    """Write a new version of an answer; ask first when that does not fit."""
    conversations = state.services().conversations
    try:
        question_id = conversations.message(answer_id).parent_id
        text = conversations.message(question_id).own_words if question_id is not None else ""
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    _again(conversation_id, text, question_id, answer_id)


def answer_question(conversation_id: str, question_id: str) -> None:
    """Answer a question whose answer was deleted; ask first when that does not fit."""
    services = state.services()
    try:
        text = services.conversations.message(question_id).own_words
        services.answers.answer_question(question_id)
    except ContextExceeded:
        notices.ask("not_fit", conversation_id=conversation_id, text=text, instead_of=question_id)
    except TwoKeysError as error:
        notices.tell_error(error)


def offer_ways(conversation_id: str, answer_id: str) -> None:
    """Offer what can be done for an answer that did not fit into the context after all."""
    try:
        question = state.services().conversations.answer(answer_id).above.last
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    notices.ask(
        "not_fit",
        conversation_id=conversation_id,
        text=question.own_words,
        instead_of=question.id,
        again=answer_id,
    )


def _again(conversation_id: str, text: str, question_id: str | None, answer_id: str | None) -> None:
    answers = state.services().answers

    def ask() -> None:
        notices.ask(
            "not_fit", conversation_id=conversation_id, text=text, instead_of=question_id, again=answer_id
        )

    try:
        if question_id is not None and text.strip():
            plan = answers.plan(conversation_id, text, instead_of=question_id)
            if not plan.fits:
                ask()
                return
        send_or_ask_again(conversation_id, text, question_id, answer_id)
    except ContextExceeded:
        ask()
    except TwoKeysError as error:
        notices.tell_error(error)


def send_or_ask_again(
    conversation_id: str, text: str, instead_of: str | None = None, again: str | None = None
) -> None:
    """Send a text; or put it in place of the question `instead_of`; or write the answer `again` anew.

    Raises what `Answers` raises.
    """
    answers = state.services().answers
    if again is not None:
        answers.regenerate(again)
    elif instead_of is not None:
        answers.edit(instead_of, text)
    else:
        send(conversation_id, text)


def waiting_text(conversation_id: str) -> str | None:
    """Return the message that waits for the first model."""
    stored = state.services().repository.get_setting(WAITING_SETTING + conversation_id)
    return stored if isinstance(stored, str) and stored else None


def drop_waiting(conversation_id: str) -> str | None:
    """Let the waiting message wait no longer, and return it."""
    text = waiting_text(conversation_id)
    if text is not None:
        state.services().repository.set_setting(WAITING_SETTING + conversation_id, "")
    return text


def release(conversation: Conversation) -> None:
    """Force clear: end the worker, reset the model state, keep the figures for the sidebar.

    Where the model is to read nothing of what stands above, that can be taken back.
    """
    services, keep = state.services(), conversation.history_after_reset
    try:
        report = services.force_clear.release(conversation.id, keep_history=keep)
        resets = services.conversations.get(conversation.id).resets
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    RELEASED.set(Released(conversation.id, report.before_bytes, report.after_bytes, report.freed_bytes))
    if resets and resets[-1].after and not keep:
        after = resets[-1].after

        def read_again() -> None:
            services.conversations.set_history(conversation.id, after, True)

        notices.offer_undo(t("chat.cleared"), read_again)


def delete_conversation(conversation_id: str) -> None:
    """Delete a conversation and offer to take it back; when it was open, another one opens."""
    conversations = state.services().conversations
    try:
        title = conversations.get(conversation_id).title or t("ui.untitled")
        token = conversations.delete(conversation_id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    notices.offer_undo(t("ui.deleted", title=title), lambda: _bring_back(conversation_id, token))
    navigation.leave_conversation(conversation_id)


def archive_conversation(conversation: Conversation) -> None:
    """Put a conversation away, or bring it back, and offer to take that back."""
    archive, away = state.services().conversations.archive, not conversation.archived

    def put(where: bool) -> None:
        archive(conversation.id, where)

    put(away)
    text = t("ui.archived" if away else "ui.unarchived", title=conversation.title or t("ui.untitled"))
    notices.offer_undo(text, lambda: put(not away))


def _bring_back(conversation_id: str, token: str) -> None:
    state.services().conversations.undo(token)
    navigation.open_conversation(conversation_id)


def attempt(act: Callable[..., Any], *args: object) -> None:
    """Call a method of the services; tell the person when it refuses."""
    try:
        act(*args)
    except TwoKeysError as error:
        notices.tell_error(error)


def delete_message(message_id: str, conversation_id: str) -> None:
    """Delete a message with what follows from it, and offer to take that back."""
    conversations = state.services().conversations
    try:
        token = conversations.delete_message(message_id)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.offer_undo(t("chat.deleted"), lambda: conversations.undo(token, conversation_id))


def step_version(message_id: str, wanted: int) -> None:
    """Show another version of a message; `wanted` counts from 1."""
    siblings = state.services().conversations.versions(message_id)
    if 1 <= wanted <= len(siblings):
        attempt(state.services().conversations.select_version, siblings[wanted - 1].id)


def perform(action: Action, conversation: Conversation) -> None:
    """Do what a person did in the transcript."""
    services = state.services()
    answers = services.answers
    message = action.message or ""
    if action.type != "refresh":
        notices.forget_errors()
    match action.type:
        case "regenerate":
            regenerate(conversation.id, message)
        case "continue":
            attempt(answers.continue_, message)
        case "continue_differently":
            attempt(answers.continue_differently, message)
        case "cut_back":
            attempt(answers.cut_back, message)
        case "edit":
            edit(conversation.id, message, action.text or "")
        case "delete":
            delete_message(message, conversation.id)
        case "version" if action.version is not None:
            step_version(message, action.version)
        case "answer":
            answer_question(conversation.id, message)
        case "ways":
            offer_ways(conversation.id, message)
        case "history_keep":
            attempt(services.conversations.set_history, conversation.id, message, True)
        case "history_drop":
            attempt(services.conversations.set_history, conversation.id, message, False)
        case "recover":
            attempt(services.recovery.start, message)
        case "recover_steps":
            notices.ask("recover", message_id=message, conversation_id=conversation.id)
        case "gather":
            notices.ask("gather", conversation_id=conversation.id)
        case "details":
            notices.ask("details", message_id=message)
        case "compare":
            navigation.go_to("compare", **{"from": message})
        case "cancel":
            if action.job:
                services.jobs.stop(action.job)
        case "stop" if action.job:
            services.jobs.stop(action.job)
        case "earlier":
            navigation.draw_more_turns()
        case _:
            pass  # "refresh": the messages are read again by this very run
