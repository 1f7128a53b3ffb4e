"""What is typed and not sent: the text of the message box, and what the writing form begins with."""

import streamlit as st

from twokeys.core.writer.draft_request import DraftRequest
from twokeys.ui.state import TabValue

_BACK = TabValue[str | None]("draft", None)
_SEEN = TabValue[tuple[str, str] | None]("seen", None)
_DRAFT_REQUEST = TabValue[DraftRequest | None]("draft_request", None)


def put_back(text: str) -> None:
    """Put a text back into the message box at the next drawing."""
    _BACK.set(text)


def to_show(key: str, conversation_id: str) -> str | None:
    """Return what the message box named key is to show: a text put back, or what was typed before another
    page was opened, which empties the box. None when the box is to be left as it is. Call once a run.
    """
    back = _BACK.take()
    if back is None and key not in st.session_state:
        return seen(conversation_id) or None
    return back


def see(conversation_id: str, text: str) -> None:
    """Remember what is in the message box and not sent yet."""
    _SEEN.set((conversation_id, text))


def seen(conversation_id: str) -> str:
    """Return what is in the message box of a conversation, as far as it was seen."""
    found = _SEEN.get()
    return found[1] if found is not None and found[0] == conversation_id else ""


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
        _SEEN.drop()
