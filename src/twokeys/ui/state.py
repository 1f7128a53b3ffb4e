"""What one browser tab remembers between runs, each value with its type, and the values of its widgets.

Nothing here survives a reload; what must is in the store or in the address.
"""

import copy
from typing import Any, Generic, TypeVar

import streamlit as st

from twokeys.services import Services
from twokeys.ui.words import language
from twokeys.web.runtime import get_services

T = TypeVar("T")


class TabValue(Generic[T]):
    """A value that a tab keeps between runs, by its name; `default` until it is set."""

    def __init__(self, name: str, default: T) -> None:
        self._key = f"_{name}"
        self._default = default

    def get(self) -> T:
        """Return the value."""
        value: T = st.session_state.get(self._key, self._default)
        return copy.copy(value) if value is self._default else value

    def set(self, value: T) -> None:
        """Keep another value from now on."""
        st.session_state[self._key] = value

    def take(self) -> T:
        """Return the value, and be the default again."""
        value = self.get()
        self.drop()
        return value

    def drop(self) -> None:
        """Be the default again."""
        st.session_state.pop(self._key, None)


_REDRAW = TabValue[bool]("redraw", False)
_EDITIONS = TabValue[dict[str, int]]("editions", {})
_SHOWN_IN = TabValue[dict[str, str]]("shown_in", {})


def services() -> Services:
    """Return the one Services of this process."""
    return get_services()


def show_value(key: str, value: object) -> None:
    """Make the widget named key show a stored value. Call before the widget is drawn."""
    if _words_changed(key) or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def put_value(key: str, value: object) -> None:
    """Make the widget named key show a value whatever was typed into it and not sent yet."""
    st.session_state[key] = value


def show_default(key: str, value: object) -> None:
    """Make the widget named key begin with a value; what a person made of it stays."""
    st.session_state.setdefault(key, value)
    if _words_changed(key):
        st.session_state[key] = st.session_state[key]


def _words_changed(key: str) -> bool:
    """Return whether the language is another than at this widget's last drawing.

    The browser knows the option of a select box by its words and would fall back to the first one.
    """
    shown_in = _SHOWN_IN.get()
    before = shown_in.get(key)
    _SHOWN_IN.set({**shown_in, key: language()})
    return before not in (None, language())


def popover_key(name: str, value: object) -> str:
    """Return the key of a widget in a popover; give the widget the same value as its default too.

    A popover is filled when it is opened, and what was told to its widgets before then never reaches
    them: they would show their first option and send it back as a person's choice. So they carry their
    value themselves, and where it changed elsewhere (another conversation, another tab, a reset) they are
    new widgets.
    """
    key = key_of(name)
    changed = key in st.session_state and st.session_state[key] != value
    if _words_changed(name) or changed:
        renew(name)
    return key_of(name)


def key_of(name: str) -> str:
    """Return the present key of a widget that is made anew now and then."""
    edition = _EDITIONS.get().get(name, 0)
    return f"{name}_{edition}" if edition else name


def renew(name: str) -> None:
    """Make the widget of this name anew: it begins with its default again."""
    editions = _EDITIONS.get()
    _EDITIONS.set({**editions, name: editions.get(name, 0) + 1})


def value_of(key: str) -> Any:
    """Return what the widget named key holds now, None when it was not drawn yet."""
    return st.session_state.get(key)


def ask_redraw() -> None:
    """Let the fragment that runs next draw the whole page anew: its callbacks cannot."""
    _REDRAW.set(True)


def take_redraw() -> bool:
    """Return whether the whole page is to be drawn anew, once."""
    return _REDRAW.take()
