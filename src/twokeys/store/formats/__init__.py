"""The formats that conversations come in, recognised by their shape and never by the file's name.

Each is a module with `takes(value)`, whether a value of the file is one of its conversations, and
`read(value, where)`, which returns it as a parcel. SillyTavern's chats and plain message lists are
different: there all the values of a file are one conversation.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol

from twokeys.errors import BadFile, Reason
from twokeys.store.formats import (
    chatgpt,
    claude,
    llamacpp,
    lmstudio,
    message_lists,
    openwebui,
    own,
    sillytavern,
)
from twokeys.store.parcel import Parcel, bad_file
from twokeys.types import LeftOut

MOST_LINES = 200_000
"""Of a file whose lines are one conversation."""

_FOREIGN_FAULTS = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""How a file's odd value shows where nobody looked for it: that conversation is left out."""


class Format(Protocol):
    """One program's way to write a conversation."""

    def takes(self, value: object) -> bool: ...

    def read(self, value: object, where: str) -> Parcel: ...


_FORMATS: Sequence[Format] = (own, chatgpt, claude, llamacpp, openwebui, lmstudio, message_lists)


def read_conversations(values: Iterator[object]) -> Iterator[Parcel | LeftOut]:
    """Give the conversations of one file. Raises BadFile for an export of a newer version of ours."""
    for number, value in enumerate(values, 1):
        where = f"conversation {number}"
        if message_lists.is_message(value):
            lines = list(islice(chain([value], values), MOST_LINES))
            yield _read(message_lists.read, {"messages": lines}, where)
        elif sillytavern.begins(value):
            lines = list(islice(chain([value], values), MOST_LINES))
            yield _read(sillytavern.read, lines, where)
        elif llamacpp.is_database(value):
            for inner in llamacpp.conversations(value):
                yield _read(llamacpp.read, inner, where)
        else:
            yield _recognised(value, where)


def _recognised(value: object, where: str) -> Parcel | LeftOut:
    own.refuse_newer(value)
    for known in _FORMATS:
        if known.takes(value):
            return _read(known.read, value, where)
    return LeftOut(_title(value, where), Reason("store.bad.unknown_format"))


def _read(read: Callable[[Any, str], Parcel], value: object, where: str) -> Parcel | LeftOut:
    try:
        parcel = read(value, where)
    except BadFile as exc:
        return LeftOut(_title(value, where), exc.params["reason"])
    except _FOREIGN_FAULTS:
        return LeftOut(_title(value, where), bad_file("odd", where=where).params["reason"])
    if not parcel.messages and parcel.source != own.SOURCE:
        return LeftOut(_title(value, where), Reason("store.bad.no_texts"))
    return parcel


def _title(value: object, where: str) -> str:
    """Return what a person knows the conversation by, else its place in the file."""
    places = value[:1] if isinstance(value, list) else [value]
    if isinstance(value, dict):
        places += [value.get(name) for name in ("conv", "chat")]
        inner = value.get("conversations")
        places += inner[:1] if isinstance(inner, list) else []
    for place in places:
        for name in ("title", "name", "character_name"):
            title = place.get(name) if isinstance(place, dict) else None
            if isinstance(title, str) and title.strip():
                return " ".join(title.split())[:80]
    return where
