"""How values become columns and come back: JSON, token ids, probabilities, whole messages.

Reading is forgiving: a stored parameter that this version does not accept is left out, so that one
odd value never hides a conversation.
"""

import json
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence

from twokeys.errors import BadInput
from twokeys.provenance import complete
from twokeys.store import shapes
from twokeys.types import (
    AnswerSchema,
    Candidate,
    Conversation,
    Message,
    Provenance,
    ResetMark,
    Sampling,
    Settings,
    TokenProb,
)


def clean(text: str) -> str:
    """Return the text with halves of surrogate pairs joined or, when alone, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_json(value: object) -> str:
    """Return JSON; numbers that JSON does not have (NaN, infinity) become null."""
    try:
        return clean(_dumps(value))
    except ValueError:
        return clean(_dumps(shapes.plain(json.loads(json.dumps(value, default=_plain)))))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def from_json(text: str | None) -> dict[str, object]:
    """Return a stored object; an empty one for what cannot be read."""
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return token ids as 4-byte little-endian numbers; packs of parts can be joined."""
    packed = array("I", ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_ids(data: bytes) -> tuple[int, ...]:
    packed = array("I", data)
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)


def pack_probs(probs: Sequence[TokenProb]) -> bytes:
    """Return probabilities compressed, log probabilities to four decimals."""
    columns = {
        "text": [clean(p.text) for p in probs],
        "id": [p.token_id for p in probs],
        "logprob": [round(p.logprob, 4) for p in probs],
        "start": [p.start for p in probs],
        "others": [[[clean(c.text), c.token_id, round(c.logprob, 4)] for c in p.alternatives] for p in probs],
    }
    return zlib.compress(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode(), 6)


def unpack_probs(data: bytes) -> list[TokenProb]:
    columns = json.loads(zlib.decompress(data))
    return [
        TokenProb(text, token_id, logprob, start, tuple(Candidate(*other) for other in others))
        for text, token_id, logprob, start, others in zip(
            columns["text"],
            columns["id"],
            columns["logprob"],
            columns["start"],
            columns["others"],
            strict=True,
        )
    ]


def read_settings(values: Mapping[str, object]) -> Settings:
    """Build Settings, leaving out whatever this version does not accept."""
    values = {**values, "answer_schema": _read_schema(values.get("answer_schema"))}
    try:
        return Settings.from_dict(values)
    except (BadInput, TypeError, AttributeError):
        others = {name: value for name, value in values.items() if name != "sampling"}
        sampling = values.get("sampling")
        return Settings.from_dict(
            {**others, "sampling": read_sampling(sampling if isinstance(sampling, Mapping) else {}).to_dict()}
        )


def _read_schema(value: object) -> dict[str, str] | None:
    try:
        return AnswerSchema.from_dict(value).to_dict() if isinstance(value, Mapping) else None
    except BadInput:
        return None


def read_sampling(values: Mapping[str, object]) -> Sampling:
    """Build Sampling from the values that are acceptable one by one."""
    sampling = Sampling()
    for name, value in values.items():
        try:
            sampling = Sampling.from_dict({**sampling.to_dict(), name: value})
        except (BadInput, TypeError):
            continue
    return sampling


def read_resets(values: object) -> tuple[ResetMark, ...]:
    """Build reset marks, leaving out what is none."""
    marks = []
    for entry in values if isinstance(values, list) else ():
        try:
            marks.append(ResetMark.from_dict(entry))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(marks)


def read_conversation(row: sqlite3.Row) -> Conversation:
    return Conversation(
        id=row["id"],
        title=row["title"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        pinned=bool(row["pinned"]),
        title_by=row["title_by"],
        settings=read_settings(from_json(row["settings"])),
        head_id=row["head_id"],
        resets=read_resets(json.loads(row["resets"])),
        history_after_reset=bool(row["history_after_reset"]),
        deleted_at=row["deleted_at"],
        kind=row["kind"],
        tags=tuple(json.loads(row["tags"])),
        archived=bool(row["archived"]),
    )


def read_provenance(values: object) -> Provenance:
    """Build an answer's record, leaving out whatever has no shape that readers count on."""
    full = complete(values) if isinstance(values, Mapping) else {}
    return Provenance.from_dict(shapes.provenance(full))


def read_message(row: sqlite3.Row, version: int = 1, versions: int = 1) -> Message:
    ids = row["token_ids"]
    return Message(
        id=row["id"],
        conversation_id=row["conversation_id"],
        parent_id=row["parent_id"],
        role=row["role"],
        content=row["content"],
        created_at=row["created_at"],
        state=row["state"],
        finish_reason=row["finish_reason"],
        provenance=read_provenance(from_json(row["provenance"])),
        token_ids=unpack_ids(ids) if ids else (),
        excluded=bool(row["excluded"]),
        version=version,
        versions=versions,
        error=shapes.error(from_json(row["error"])),
    )
