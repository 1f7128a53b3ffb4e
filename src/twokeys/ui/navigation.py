"""Where a tab is: the conversation, comparison and page of its address, and where a callback sends it.

A conversation is addressed by `?c=<id>` and never held here; what must survive a reload is in the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from twokeys.errors import NotFound
from twokeys.types import Conversation, Settings
from twokeys.ui import notices
from twokeys.ui.state import TabValue
from twokeys.ui.words import t
from twokeys.web.runtime import get_services

PAGE_TURNS = 30
"""How many messages of a long conversation are drawn at first, and with each "show earlier"."""
_OPENED = TabValue[int]("opened", 0)
_DRAWN = TabValue[int]("drawn", PAGE_TURNS)


@dataclass(frozen=True, slots=True)
class SearchTarget:
    """A message that a search led to, and what was searched for."""

    conversation_id: str
    message_id: str
    words: tuple[str, ...]
    token: str


_SEARCH_TARGET = TabValue[SearchTarget | None]("search_target", None)


@dataclass(frozen=True, slots=True)
class Destination:
    """A page that a callback wants opened, by its name, with its part of the address."""

    page: str
    query: Mapping[str, str]


_DESTINATION = TabValue[Destination | None]("destination", None)


def conversation() -> Conversation:
    """Return the conversation of the address; without one, an empty one, and put it in the address."""
    wanted = st.query_params.get("c")
    if wanted:
        try:
            stored = get_services().conversations.get(wanted)
            if stored.deleted_at is None:
                return stored
        except NotFound:
            text, hint = t("ui.conversation.missing"), t("ui.conversation.missing_hint")
            notices.tell(notices.Notice(text, hint, "error"))
    blank = _blank() or get_services().conversations.new()
    st.query_params["c"] = blank.id
    return blank


def start_conversation() -> Conversation:
    """Open an empty conversation, made now unless one with untouched settings is there."""
    blank = _blank() or get_services().conversations.new()
    open_conversation(blank.id)
    return blank


def open_conversation(conversation_id: str) -> None:
    """Put a conversation in the address; the next drawing shows it."""
    st.query_params["c"] = conversation_id
    _DRAWN.set(PAGE_TURNS)
    _OPENED.set(_OPENED.get() + 1)


def open_message(conversation_id: str, message_id: str, words: tuple[str, ...]) -> None:
    """Open a conversation where this message is, in the branch that holds it, with these words marked."""
    conversations = get_services().conversations
    open_conversation(conversation_id)
    branch = [message.id for message in conversations.messages(conversation_id)]
    if message_id not in branch:
        conversations.select_version(message_id)
        branch = [message.id for message in conversations.messages(conversation_id)]
    if message_id in branch:
        _DRAWN.set(max(PAGE_TURNS, len(branch) - branch.index(message_id) + 1))
    _SEARCH_TARGET.set(SearchTarget(conversation_id, message_id, words, f"{message_id} {_OPENED.get()}"))


def search_target(conversation_id: str) -> SearchTarget | None:
    """Return the message of this conversation that a search led to last."""
    last = _SEARCH_TARGET.get()
    return last if last is not None and last.conversation_id == conversation_id else None


def leave_conversation(conversation_id: str) -> None:
    """Take a conversation out of the address if it is there; the next drawing shows another one."""
    if st.query_params.get("c") == conversation_id:
        del st.query_params["c"]


def place() -> str:
    """Return a text that is another one whenever a conversation was opened, the same one too."""
    return f"{st.query_params.get('c', '')} {_OPENED.get()}"


def address() -> dict[str, str]:
    """Return the query parameters that a link inside the app must carry on."""
    return {name: value for name in ("c", "plain") if (value := st.query_params.get(name))}


def _blank() -> Conversation | None:
    for candidate in get_services().conversations.latest(limit=20):
        if candidate.head_id is None and not candidate.pinned and candidate.settings == Settings():
            return candidate
    return None


def drawn_turns() -> int:
    """Return how many of the last messages are to be drawn."""
    return _DRAWN.get()


def draw_more_turns() -> None:
    """Draw PAGE_TURNS more of the earlier messages from now on."""
    _DRAWN.set(_DRAWN.get() + PAGE_TURNS)


def plain() -> bool:
    """Return whether the page is drawn without the live component (`?plain=1`, or no browser)."""
    return st.query_params.get("plain") == "1"


def go_to(page: str, **query: str) -> None:
    """Open a page at the next drawing: callbacks cannot switch pages themselves."""
    _DESTINATION.set(Destination(page, query))


def take_destination() -> Destination | None:
    """Return the page that is to be opened, once."""
    return _DESTINATION.take()


def comparison_id() -> str | None:
    """Return the comparison of the address."""
    return st.query_params.get("cmp") or None


def open_comparison(wanted: str | None) -> None:
    """Put a comparison in the address, or none; what else the page had there is dropped."""
    for name in ("cmp", "view", "from"):
        st.query_params.pop(name, None)
    if wanted is not None:
        st.query_params["cmp"] = wanted
