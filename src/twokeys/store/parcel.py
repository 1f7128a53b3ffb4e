"""A conversation on its way in: read and checked, not yet stored.

What the formats of other programs share is here too: their messages as turns, times in any of the
ways they are written, texts that may be cut into pieces.
"""

import contextlib
import hashlib
import heapq
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeGuard

from twokeys.errors import BadFile, Reason
from twokeys.ids import new_id
from twokeys.types import Conversation, GuardEvent, Message, Provenance, Role, Settings, TokenProb

LATEST_TIME = 4102444800.0
"""The year 2100; a later moment in a file is no time."""
MILLISECONDS = 1e11
"""From here on a number is a moment in milliseconds."""
MAX_TITLE = 200

_AT_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})\s*@(\d{1,2})h\s*(\d{1,2})m(?:\s*(\d{1,2})s)?(?:\s*\d+ms)?"
)
_TEXT_PIECES = ("text", "input_text", "output_text")
_OTHER_PIECES = {
    "image": "[image]",
    "image_url": "[image]",
    "input_image": "[image]",
    "input_audio": "[audio]",
    "audio": "[audio]",
    "file": "[file]",
    "input_file": "[file]",
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A conversation, its messages with parents before children, and what belongs to them by id.

    source: the program it comes from, a key of store.source. origin: what tells it from any other
    conversation of that program, the same each time it is exported. files: those that were attached.
    """

    conversation: Conversation
    messages: tuple[Message, ...]
    events: Mapping[str, Sequence[GuardEvent]] = field(default_factory=dict)
    probs: Mapping[str, Sequence[TokenProb]] = field(default_factory=dict)
    source: str = "twokeys"
    origin: str = ""
    files: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class ImportedTurn:
    """A message as another program has it. parent: the key of the one before, None at the top.

    at: Unix seconds, None when it does not say.
    """

    key: str
    parent: str | None
    role: Role
    text: str
    at: float | None = None
    model: str | None = None


def bad_file(key: str, **values: object) -> BadFile:
    """Return the error for a reason of store.toml; who knows the file's name adds it."""
    return BadFile(name="", reason=Reason(f"store.bad.{key}", **values))


def in_order(messages: Sequence[Message], where: str) -> tuple[Message, ...]:
    """Return the messages with parents first and otherwise in the order given.

    Raises BadFile when ids repeat, a parent is missing or a chain bites its tail.
    """
    if len({message.id for message in messages}) != len(messages):
        raise bad_file("tree", where=where)
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
    if len(ordered) != len(messages):
        raise bad_file("tree", where=where)
    return tuple(ordered)


def parcel_of(
    source: str,
    origin: str,
    turns: Sequence[ImportedTurn],
    *,
    title: object = "",
    created_at: float | None = None,
    updated_at: float | None = None,
    head: str | None = None,
    system_prompt: str = "",
    where: str = "",
) -> Parcel:
    """Return the parcel of another program's conversation. head: the last turn of the shown branch.

    Raises BadFile when the turns are no tree.
    """
    conversation_id = new_id()
    ids = {turn.key: new_id() for turn in turns}
    known = [turn.at for turn in turns if turn.at is not None]
    began = created_at if created_at is not None else min(known, default=0.0)
    messages = [
        Message(
            id=ids[turn.key],
            conversation_id=conversation_id,
            parent_id=None if turn.parent is None else ids.get(turn.parent, turn.parent),
            role=turn.role,
            content=turn.text,
            created_at=began if turn.at is None else turn.at,
            finish_reason="stop" if turn.role == "assistant" else None,
            provenance=Provenance(imported_from=source, model=turn.model or None)
            if turn.role == "assistant"
            else Provenance(),
        )
        for turn in turns
    ]
    ordered = in_order(messages, where)
    last = ordered[-1].id if ordered else None
    conversation = Conversation(
        id=conversation_id,
        title=" ".join(title.split())[:MAX_TITLE] if isinstance(title, str) else "",
        created_at=began,
        updated_at=updated_at if updated_at is not None else max(known, default=began),
        title_by="model",
        settings=Settings(system_prompt=system_prompt),
        head_id=ids.get(head or "", last),
    )
    return Parcel(conversation, ordered, source=source, origin=f"{source}:{origin}")


def in_a_row(turns: Iterable[ImportedTurn]) -> list[ImportedTurn]:
    """Return turns that follow one another, each below the one before."""
    chained: list[ImportedTurn] = []
    for turn in turns:
        chained.append(replace(turn, parent=chained[-1].key if chained else None))
    return chained


def fingerprint(*parts: object) -> str:
    """Return what stands for a conversation whose program gives it no id."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True, default=str).encode()).hexdigest()[:32]


def text_of(content: object) -> str:
    """Return the text of a message's content: a text, or a list of pieces as the chat APIs have them."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list):
        return ""
    pieces = [_piece(piece) for piece in content]
    return "\n\n".join(piece for piece in pieces if piece)


def _piece(piece: object) -> str:
    if isinstance(piece, str):
        return piece.strip()
    if not isinstance(piece, dict):
        return ""
    if piece.get("type") in _TEXT_PIECES and isinstance(piece.get("text"), str):
        return str(piece["text"]).strip()
    return _OTHER_PIECES.get(str(piece.get("type")), "")


def seconds(value: object) -> float | None:
    """Return a moment in Unix seconds: from seconds, milliseconds or a date as it is written, else None."""
    if isinstance(value, str):
        value = _date(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= MILLISECONDS:
        value = value / 1000 if abs(value) < MILLISECONDS * 1e6 else None
    return float(value) if is_time(value) else None


def _date(text: str) -> float | None:
    if text.isascii() and text.isdigit() and len(text) < 20:
        return float(text)
    if match := _AT_DATE.fullmatch(text):
        year, month, day, hour, minute, second = (int(part) for part in match.groups(default="0"))
        text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).timestamp()
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.strptime(text.lower(), "%B %d, %Y %I:%M%p").astimezone().timestamp()
    return None


def is_time(value: object) -> TypeGuard[float]:
    """Return whether a value is a moment in Unix seconds."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value < LATEST_TIME
    )
