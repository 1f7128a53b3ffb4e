"""What one browser tab remembers: its language, open question, half-written text, the undo on offer.

The only module that touches Streamlit's session_state. A conversation is never held here: it is
addressed by `?c=<id>`, and everything that must survive a reload is in the store.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st

from twokeys.core.writer.wish import Wish
from twokeys.errors import NotFound, TwoKeysError, from_stored
from twokeys.i18n import LANGUAGES, catalogue, negotiate, translate
from twokeys.services import Services
from twokeys.types import Conversation, Settings
from twokeys.web.runtime import get_services

logger = logging.getLogger(__name__)

LANGUAGE_SETTING = "ui.language"
UNDO_SECONDS = 120.0
PAGE_TURNS = 30
"""How many messages of a long conversation are drawn at first, and with each "show earlier"."""


@dataclass(frozen=True, slots=True)
class Question:
    """A dialog that is open: its name and what it needs."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undo:
    """A deletion that can be taken back until `until` (Unix seconds)."""

    text: str
    act: Callable[[], None]
    until: float


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell at the next drawing."""

    text: str
    hint: str = ""
    kind: Literal["done", "error"] = "done"


def services() -> Services:
    """Return the one Services of this process."""
    return get_services()


# --- language -------------------------------------------------------------------------------------


def language() -> str:
    """Return "zh" or "en": the person's choice, else the browser's."""
    chosen = st.session_state.get("language")
    if chosen not in LANGUAGES:
        chosen = services().repository.get_setting(LANGUAGE_SETTING)
    if chosen not in LANGUAGES:
        chosen = negotiate(st.context.locale)
    st.session_state["language"] = chosen
    return str(chosen)


def set_language(code: str) -> None:
    """Switch the language in place and remember it for the next visit."""
    if code in LANGUAGES:
        st.session_state["language"] = code
        services().repository.set_setting(LANGUAGE_SETTING, code)


def t(key: str, /, **values: Any) -> str:
    """Return a text in the language of this tab."""
    return translate(key, language(), **values)


# --- the conversation that is open ------------------------------------------------------------------


def conversation() -> Conversation:
    """Return the conversation of the address; without one, an empty one, and put it in the address."""
    wanted = st.query_params.get("c")
    if wanted:
        try:
            found = services().repository.get_conversation(wanted)
            if found.deleted_at is None:
                return found
        except NotFound:
            notice(Notice(t("ui.conversation.missing"), t("ui.conversation.missing_hint"), "error"))
    blank = _blank() or services().chat.new_conversation()
    st.query_params["c"] = blank.id
    return blank


def start_conversation() -> Conversation:
    """Open an empty conversation, made now unless one with untouched settings is there."""
    blank = _blank() or services().chat.new_conversation()
    open_conversation(blank.id)
    return blank


def open_conversation(conversation_id: str) -> None:
    """Put a conversation in the address; the next drawing shows it."""
    st.query_params["c"] = conversation_id
    st.session_state["_drawn"] = PAGE_TURNS


def address() -> dict[str, str]:
    """Return the query parameters that a link inside the app must carry on."""
    return {name: value for name in ("c", "plain") if (value := st.query_params.get(name))}


def _blank() -> Conversation | None:
    for candidate in services().repository.list_conversations(limit=20):
        if candidate.head_id is None and not candidate.pinned and candidate.settings == Settings():
            return candidate
    return None


def delete_conversation(conversation_id: str) -> None:
    """Delete a conversation and offer to take it back; when it was open, another one opens."""
    repository = services().repository
    try:
        title = repository.get_conversation(conversation_id).title or t("ui.untitled")
        token = repository.delete_conversation(conversation_id)
    except TwoKeysError as error:
        tell_error(error)
        return
    offer_undo(t("ui.deleted", title=title), lambda: _bring_back(conversation_id, token))
    if st.query_params.get("c") == conversation_id:
        del st.query_params["c"]


def _bring_back(conversation_id: str, token: str) -> None:
    services().repository.undo(token)
    open_conversation(conversation_id)


def save_settings(conversation_id: str, **changes: Any) -> None:
    """Change the settings of a conversation; sampling parameters may be given by their own names.

    What is out of range is told to the person and not stored.
    """
    try:
        old = services().repository.get_conversation(conversation_id).settings
        own = {name: changes.pop(name) for name in list(changes) if hasattr(old.sampling, name)}
        new = replace(old, sampling=old.sampling.with_(**own), **changes)
        if new != old:
            services().chat.set_settings(conversation_id, new)
    except TwoKeysError as error:
        tell_error(error)


def set_by_hand(conversation_id: str, name: str, value: Any) -> None:
    """Set a sampling parameter as a person's choice: neither a task nor Automatic changes it again."""
    settings = services().repository.get_conversation(conversation_id).settings
    pinned = with_pinned(settings, (name,))
    save_settings(conversation_id, **{name: value, "preset": None, "pinned": pinned})


def with_pinned(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Return what advice must leave alone from now on: what was set by hand before, and these."""
    return tuple(dict.fromkeys((*settings.pinned, *names)))


# --- where to go ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Destination:
    """A page that a callback wants opened, by its name in `Pages`, with its part of the address."""

    page: str
    query: Mapping[str, str]


def go_to(page: str, **query: str) -> None:
    """Open a page at the next drawing: callbacks cannot switch pages themselves."""
    st.session_state["_destination"] = Destination(page, query)


def take_destination() -> Destination | None:
    """Return the page that is to be opened, once."""
    found = st.session_state.pop("_destination", None)
    return found if isinstance(found, Destination) else None


def comparison_id() -> str | None:
    """Return the comparison of the address."""
    return st.query_params.get("cmp") or None


def open_comparison(wanted: str | None) -> None:
    """Put a comparison in the address, or none; what else the page had there is dropped."""
    for name in ("cmp", "view", "from"):
        st.query_params.pop(name, None)
    if wanted is not None:
        st.query_params["cmp"] = wanted


# --- widgets ----------------------------------------------------------------------------------------


def show_value(key: str, value: Any) -> None:
    """Make the widget named key show a stored value. Call before the widget is drawn."""
    if _words_changed(key) or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def show_default(key: str, value: Any) -> None:
    """Make the widget named key begin with a value; what a person made of it stays."""
    st.session_state.setdefault(key, value)
    if _words_changed(key):
        st.session_state[key] = st.session_state[key]


def _words_changed(key: str) -> bool:
    """Return whether the language is another than at this widget's last drawing.

    The browser knows the option of a select box by its words and would fall back to the first one.
    """
    shown_in = st.session_state.setdefault("_shown_in", {})
    before, shown_in[key] = shown_in.get(key), language()
    return before not in (None, language())


def value_of(key: str) -> Any:
    """Return what the widget named key holds now, None when it was not drawn yet."""
    return st.session_state.get(key)


def drawn_turns() -> int:
    """Return how many of the last messages are to be drawn."""
    return int(st.session_state.get("_drawn", PAGE_TURNS))


def draw_more_turns() -> None:
    """Draw PAGE_TURNS more of the earlier messages from now on."""
    st.session_state["_drawn"] = drawn_turns() + PAGE_TURNS


def plain() -> bool:
    """Return whether the page is drawn without the live component (`?plain=1`, or no browser)."""
    return st.query_params.get("plain") == "1"


# --- dialogs, drafts, notices, undo -------------------------------------------------------------------


def ask(name: str, **params: Any) -> None:
    """Open a dialog at the next drawing."""
    st.session_state["_question"] = Question(name, params)


def question() -> Question | None:
    """Return the dialog that is open."""
    found = st.session_state.get("_question")
    return found if isinstance(found, Question) else None


def close_question() -> None:
    """Close the dialog that is open."""
    st.session_state.pop("_question", None)


def keep_draft(text: str) -> None:
    """Put a text back into the message box at the next drawing."""
    st.session_state["_draft"] = text


def take_draft() -> str | None:
    """Return the text that is to go back into the message box, once."""
    found = st.session_state.pop("_draft", None)
    return found if isinstance(found, str) else None


def draft_to_show(key: str, conversation_id: str) -> str | None:
    """Return what the message box named key is to show: a kept text, or what was typed before another
    page was opened, which empties the box. None when the box is to be left as it is. Call once a run.
    """
    kept = take_draft()
    if kept is None and key not in st.session_state:
        return draft_seen(conversation_id) or None
    return kept


def bring_to_writer(wish: Wish) -> None:
    """Let the form of a new writing project begin with this, until a project is made of it."""
    st.session_state["_wish"] = wish


def writer_wish() -> Wish | None:
    """Return what the form of a new writing project begins with."""
    found = st.session_state.get("_wish")
    return found if isinstance(found, Wish) else None


def drop_wish() -> None:
    """The wish became a project: neither the form nor the message box needs it any longer."""
    if st.session_state.pop("_wish", None) is not None:
        take_draft()
        st.session_state.pop("_seen", None)


def see_draft(conversation_id: str, text: str) -> None:
    """Remember what is in the message box and not sent yet."""
    st.session_state["_seen"] = (conversation_id, text)


def draft_seen(conversation_id: str) -> str:
    """Return what is in the message box of a conversation, as far as it was seen."""
    found = st.session_state.get("_seen")
    return found[1] if isinstance(found, tuple) and found[0] == conversation_id else ""


def ask_redraw() -> None:
    """Let the fragment that runs next draw the whole page anew: its callbacks cannot."""
    st.session_state["_redraw"] = True


def take_redraw() -> bool:
    """Return whether the whole page is to be drawn anew, once."""
    return bool(st.session_state.pop("_redraw", False))


def notice(item: Notice) -> None:
    """Tell something at the next drawing."""
    st.session_state.setdefault("_notices", []).append(item)


def tell_error(error: TwoKeysError) -> None:
    """Tell an error at the next drawing: what failed and the next step."""
    lang = language()
    notice(Notice(error.message(lang), error.hint(lang), "error"))


def error_text(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return message and hint of a stored error ({code, params}, or with the sentences in it)."""
    code, params = str(error.get("code", "unexpected")), dict(error.get("params") or {})
    if "message" in error or f"errors.{code}.text" not in catalogue():
        return str(error.get("message", code)), str(error.get("hint", ""))
    kept = from_stored(code, params)
    return kept.message(language()), kept.hint(language())


def take_notices() -> list[Notice]:
    """Return what is to be told, once."""
    return list(st.session_state.pop("_notices", []))


def offer_undo(text: str, act: Callable[[], None]) -> None:
    """Offer to take a deletion back, for UNDO_SECONDS."""
    st.session_state["_undo"] = Undo(text, act, time.time() + UNDO_SECONDS)


def undo_on_offer() -> Undo | None:
    """Return the deletion that can still be taken back."""
    found = st.session_state.get("_undo")
    if isinstance(found, Undo) and found.until > time.time():
        return found
    st.session_state.pop("_undo", None)
    return None


def drop_undo() -> None:
    """Offer the undo no longer."""
    st.session_state.pop("_undo", None)


def remember(name: str, value: Any) -> None:
    """Keep a value for this tab only (results that are shown once more, tokens of handled events)."""
    st.session_state[f"_{name}"] = value


def recall(name: str, default: Any = None) -> Any:
    """Return a value kept with `remember`."""
    return st.session_state.get(f"_{name}", default)
