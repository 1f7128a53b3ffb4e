"""A conversation on its way in: read and checked, not yet stored."""

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from twokeys.errors import BadFile, Reason
from twokeys.types import Conversation, GuardEvent, Message, TokenProb

LATEST_TIME = 4102444800.0
"""The year 2100; a later moment in a file is no time."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A conversation, its messages with parents before children, and what belongs to them by id."""

    conversation: Conversation
    messages: tuple[Message, ...]
    events: Mapping[str, Sequence[GuardEvent]] = field(default_factory=dict)
    probs: Mapping[str, Sequence[TokenProb]] = field(default_factory=dict)


def bad_file(key: str, **values: Any) -> BadFile:
    """Return the error for a reason of store.toml; who knows the file's name adds it."""
    return BadFile(name="", reason=Reason(f"store.bad.{key}", **values))


def in_order(messages: Sequence[Message], where: str) -> tuple[Message, ...]:
    """Return the messages with parents first and otherwise in the order given.

    Raises BadFile when ids repeat, a parent is missing or a chain bites its tail.
    """
    place = {message.id: n for n, message in enumerate(messages)}
    below: dict[str | None, list[int]] = defaultdict(list)
    for n, message in enumerate(messages):
        below[message.parent_id].append(n)
    ready = below[None]
    ordered: list[Message] = []
    while ready:
        message = messages[heapq.heappop(ready)]
        ordered.append(message)
        for n in below[message.id]:
            heapq.heappush(ready, n)
    if len(place) != len(messages) or len(ordered) != len(messages):
        raise bad_file("tree", where=where)
    return tuple(ordered)


def is_time(value: Any) -> TypeGuard[float]:
    """Return whether a value is a moment in Unix seconds."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value < LATEST_TIME
    )
