"""What a tab is told or asked: notices, errors that stand for a while, the undo on offer, the open dialog."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from twokeys.errors import TwoKeysError
from twokeys.ui.state import TabValue
from twokeys.ui.words import language

UNDO_SECONDS = 120.0
ERROR_SECONDS = 120.0
"""How long an error stands at most; a page that is redrawn meanwhile does not take it away unread."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell at the next drawing."""

    text: str
    hint: str = ""
    kind: Literal["done", "error"] = "done"


@dataclass(frozen=True, slots=True)
class Undo:
    """A deletion that can be taken back until `until` (Unix seconds)."""

    text: str
    act: Callable[[], None]
    until: float


@dataclass(frozen=True, slots=True)
class StandingErrors:
    """Errors that stand on one place's pages until `until` (Unix seconds)."""

    errors: tuple[Notice, ...]
    place: str
    until: float


@dataclass(frozen=True, slots=True)
class Question:
    """A dialog that is open: its name and what it needs."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


_NOTICES = TabValue[tuple[Notice, ...]]("notices", ())
_STANDING = TabValue[StandingErrors | None]("errors", None)
_UNDO = TabValue[Undo | None]("undo", None)
_QUESTION = TabValue[Question | None]("question", None)
_CLOSED = TabValue[int]("questions_closed", 0)


def tell(notice: Notice) -> None:
    """Tell something at the next drawing."""
    _NOTICES.set((*_NOTICES.get(), notice))


def tell_error(error: TwoKeysError) -> None:
    """Tell an error at the next drawing: what failed and the next step."""
    tell(Notice(error.message(language()), error.hint(language()), "error"))


def take() -> tuple[Notice, ...]:
    """Return what is to be told, once."""
    return _NOTICES.take()


def keep_errors(errors: tuple[Notice, ...], place: str) -> None:
    """Let errors stand at a place (a page, a conversation) in place of those before them."""
    _STANDING.set(StandingErrors(errors, place, time.time() + ERROR_SECONDS))


def standing_errors(place: str) -> tuple[Notice, ...]:
    """Return the errors that stand at a place; whoever goes to another leaves them behind."""
    standing = _STANDING.get()
    if standing is not None and standing.place == place and standing.until > time.time():
        return standing.errors
    forget_errors()
    return ()


def forget_errors() -> None:
    """The errors were read, or something new is done: they stand no longer."""
    _STANDING.drop()


def offer_undo(text: str, act: Callable[[], None]) -> None:
    """Offer to take a deletion back, for UNDO_SECONDS."""
    _UNDO.set(Undo(text, act, time.time() + UNDO_SECONDS))


def undo_on_offer() -> Undo | None:
    """Return the deletion that can still be taken back."""
    undo = _UNDO.get()
    if undo is not None and undo.until > time.time():
        return undo
    drop_undo()
    return None


def drop_undo() -> None:
    """Offer the undo no longer."""
    _UNDO.drop()


def ask(name: str, **params: object) -> None:
    """Open a dialog at the next drawing."""
    _QUESTION.set(Question(name, params))


def question() -> Question | None:
    """Return the dialog that is open."""
    return _QUESTION.get()


def close_question() -> None:
    """Close the dialog that is open."""
    if _QUESTION.take() is not None:
        _CLOSED.set(_CLOSED.get() + 1)


def questions_closed() -> int:
    """Return how many dialogs were closed in this tab."""
    return _CLOSED.get()
