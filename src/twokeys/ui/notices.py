"""What a tab is told or asked at its next drawing: notices, the undo on offer, the dialog that is open."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from twokeys.errors import TwoKeysError
from twokeys.ui.state import TabValue
from twokeys.ui.words import language

UNDO_SECONDS = 120.0


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
class Question:
    """A dialog that is open: its name and what it needs."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


_NOTICES = TabValue[tuple[Notice, ...]]("notices", ())
_UNDO = TabValue[Undo | None]("undo", None)
_QUESTION = TabValue[Question | None]("question", None)


def tell(notice: Notice) -> None:
    """Tell something at the next drawing."""
    _NOTICES.set((*_NOTICES.get(), notice))


def tell_error(error: TwoKeysError) -> None:
    """Tell an error at the next drawing: what failed and the next step."""
    tell(Notice(error.message(language()), error.hint(language()), "error"))


def take() -> tuple[Notice, ...]:
    """Return what is to be told, once."""
    return _NOTICES.take()


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
    _QUESTION.drop()
