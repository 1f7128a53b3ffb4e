"""What is typed and not sent: the text of the message box, and what the writing form begins with.

A message that is not sent stays with its conversation, over a reload, a page change and a restart; it is
deleted with the conversation.
"""

import streamlit as st

from twokeys.core.writer.draft_request import DraftRequest
from twokeys.ids import new_id
from twokeys.ui.state import TabValue
from twokeys.web.component.draft import Shown
from twokeys.web.runtime import get_services

DRAFT_SETTING = "ui.draft."
"""With a conversation: what is in its message box."""
_BACK = TabValue[str | None]("draft", None)
_SHOWN = TabValue[Shown | None]("draft_shown", None)
_SHOWN_FOR = TabValue[str | None]("draft_shown_for", None)
_DRAFT_REQUEST = TabValue[DraftRequest | None]("draft_request", None)


def put_back(text: str) -> None:
    """Put a text back into the message box at the next drawing."""
    _BACK.set(text)


def to_show(key: str, conversation_id: str) -> str | None:
    """Return what the message box named key is to show: a text put back, else the conversation's draft where
    the box is a new one or showed another conversation's. None when it is to be left as it is. Call once
    a run.
    """
    text, shown_for = _BACK.take(), _SHOWN_FOR.get()
    _SHOWN_FOR.set(conversation_id)
    if text is None and shown_for not in (None, conversation_id):
        text = seen(conversation_id)
    elif text is None and key not in st.session_state:
        text = seen(conversation_id) or None  # a new box is empty, unless a person was quick
    if text is not None:
        _SHOWN.set(Shown(text, new_id()))
    return text


def shown() -> Shown | None:
    """Return what `to_show` returned last, for the browser."""
    return _SHOWN.get()


def see(conversation_id: str, text: str) -> None:
    """Remember what is in the message box of a conversation and not sent yet."""
    repository, key = get_services().repository, DRAFT_SETTING + conversation_id
    if not text:
        repository.delete_setting(key)
    elif text != seen(conversation_id):
        repository.set_setting(key, text)


def seen(conversation_id: str) -> str:
    """Return what is in the message box of a conversation, as far as it was seen."""
    stored = get_services().repository.get_setting(DRAFT_SETTING + conversation_id)
    return stored if isinstance(stored, str) else ""


def bring_to_writer(request: DraftRequest) -> None:
    """Let the form of a new writing project begin with this, until a project is made of it."""
    _DRAFT_REQUEST.set(request)


def draft_request() -> DraftRequest | None:
    """Return what the form of a new writing project begins with."""
    return _DRAFT_REQUEST.get()


def drop_draft_request() -> None:
    """The request became a project: neither the form nor the message box needs it any longer."""
    if _DRAFT_REQUEST.take() is not None:
        _BACK.drop()
        if (conversation_id := _SHOWN_FOR.get()) is not None:
            see(conversation_id, "")
