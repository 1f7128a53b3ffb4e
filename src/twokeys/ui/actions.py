"""What a person can do in a conversation, with the errors told instead of raised.

Used by the screens and dialogs; draws nothing but a spinner while memory is given back.
"""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from twokeys.errors import ContextExceeded, EmptyMessage, ModelMissing, TwoKeysError
from twokeys.types import Conversation
from twokeys.ui import state, task_picker
from twokeys.ui.answering import answering
from twokeys.ui.state import t
from twokeys.web.component import Action

WAITING_SETTING = "ui.waiting."
ECHO_S = 1.5


def submit(conversation: Conversation, text: str) -> None:
    """Send a message; ask first when it does not fit, and keep it waiting when no model is there."""
    services = state.services()
    if answering(services) is None:
        services.repository.set_setting(WAITING_SETTING + conversation.id, text)
        return
    state.see_draft(conversation.id, "")
    try:
        task_picker.keep_chosen(conversation.id, services.advice.before_sending(conversation.id, text))
        plan = services.chat.plan(conversation.id, text)
        if not plan.fits:
            state.ask("not_fit", conversation_id=conversation.id, text=text)
            return
        services.chat.send(conversation.id, text)
    except ContextExceeded:
        state.ask("not_fit", conversation_id=conversation.id, text=text)
    except EmptyMessage as error:
        state.tell_error(error)
    except ModelMissing:
        services.repository.set_setting(WAITING_SETTING + conversation.id, text)
    except TwoKeysError as error:
        state.keep_draft(text)
        state.tell_error(error)


def waiting_text(conversation_id: str) -> str | None:
    """Return the message that waits for the first model."""
    found = state.services().repository.get_setting(WAITING_SETTING + conversation_id)
    return found if isinstance(found, str) and found else None


def drop_waiting(conversation_id: str) -> str | None:
    """Let the waiting message wait no longer, and return it."""
    found = waiting_text(conversation_id)
    if found is not None:
        state.services().repository.set_setting(WAITING_SETTING + conversation_id, "")
    return found


def release(conversation: Conversation) -> None:
    """Force clear: end the worker, reset the model state, keep the figures for the sidebar.

    The keyboard shortcut is heard by the button and by the transcript; the echo is dropped.
    """
    if time.monotonic() - state.recall("released_at", -ECHO_S) < ECHO_S:
        return
    try:
        report = state.services().chat.release(conversation.id, keep_history=conversation.history_after_reset)
    except TwoKeysError as error:
        state.tell_error(error)
    else:
        figures = (report.before_bytes, report.after_bytes, report.freed_bytes)
        state.remember("released", (conversation.id, *figures))
    state.remember("released_at", time.monotonic())


def attempt(act: Callable[..., Any], *args: Any) -> None:
    """Call a method of the chat service; tell the person when it refuses."""
    try:
        act(*args)
    except TwoKeysError as error:
        state.tell_error(error)


def delete_message(message_id: str, conversation_id: str) -> None:
    """Delete a message with what follows from it, and offer to take that back."""
    chat = state.services().chat
    try:
        token = chat.delete_message(message_id)
    except TwoKeysError as error:
        state.tell_error(error)
    else:
        state.offer_undo(t("chat.deleted"), lambda: chat.undo(token, conversation_id))


def step_version(message_id: str, wanted: int) -> None:
    """Show another version of a message; `wanted` counts from 1."""
    siblings = state.services().repository.siblings(message_id)
    if 1 <= wanted <= len(siblings):
        attempt(state.services().chat.select_version, siblings[wanted - 1].id)


def perform(action: Action, conversation: Conversation) -> None:
    """Do what a person did in the transcript."""
    services = state.services()
    chat = services.chat
    message = action.message or ""
    match action.type:
        case "regenerate":
            attempt(chat.regenerate, message)
        case "continue":
            attempt(chat.continue_, message)
        case "continue_differently":
            attempt(chat.continue_differently, message)
        case "edit":
            attempt(chat.edit, message, action.text or "")
        case "delete":
            delete_message(message, conversation.id)
        case "version" if action.version is not None:
            step_version(message, action.version)
        case "recover":
            attempt(services.recovery.start, message)
        case "recover_steps":
            state.ask("recover", message_id=message, conversation_id=conversation.id)
        case "details":
            state.ask("details", message_id=message)
        case "compare":
            state.go_to("compare", **{"from": message})
        case "cancel":
            if action.job:
                services.jobs.stop(action.job)
        case "stop" if action.job:
            services.jobs.stop(action.job)
        case "earlier":
            state.draw_more_turns()
        case "release":
            with st.spinner(t("sidebar.release.running")):
                release(conversation)
        case _:
            pass  # "refresh": the messages are read again by this very run
