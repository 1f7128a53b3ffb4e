"""Our own JSON: complete, so that export and import give the same conversations again.

It holds the whole tree, settings, provenance, token ids and the files that were attached; probabilities on
request. Files beyond MAX_FILES_BYTES of one conversation are named without their contents.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from twokeys import __version__
from twokeys.errors import NotFound
from twokeys.store import shapes
from twokeys.store.coding import clean, read_provenance, read_resets, read_settings, to_json
from twokeys.store.parcel import Parcel, bad_file, in_order, is_time
from twokeys.types import (
    Candidate,
    Conversation,
    FinishReason,
    GuardEvent,
    Message,
    ResetMark,
    Settings,
    TokenProb,
)

if TYPE_CHECKING:
    from twokeys.store.repository import Repository

SOURCE = "twokeys"
FORMAT = "twokeys.conversations"
FORMAT_VERSION = 1

MAX_FILES_BYTES = 40_000_000
"""Of one conversation: what is read in again may not have more."""

_ROLES = ("system", "user", "assistant")
_FINISH_REASONS = ("stop", "stop_string", "length", "context", "guard", "cancelled", "interrupted", "error")
_STATES = ("done", "interrupted", "failed")
_TITLES_BY = ("first_words", "model", "person")

T = TypeVar("T")


# -- out -----------------------------------------------------------------------------------------


def write(repository: "Repository", conversations: Sequence[Conversation], *, with_probs: bool) -> str:
    """Return conversations as our JSON."""
    return to_json(
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "app_version": __version__,
            "exported_at": time.time(),
            "conversations": [_conversation_out(repository, c, with_probs) for c in conversations],
        }
    )


def _conversation_out(
    repository: "Repository", conversation: Conversation, with_probs: bool
) -> dict[str, object]:
    return {
        "id": conversation.id,
        "title": conversation.title,
        "title_by": conversation.title_by,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "pinned": conversation.pinned,
        "tags": list(conversation.tags),
        "archived": conversation.archived,
        "settings": conversation.settings.to_dict(),
        "head_id": conversation.head_id,
        "state_reset_at": conversation.state_reset_at,
        "history_after_reset": conversation.history_after_reset,
        "resets": [mark.to_dict() for mark in conversation.resets],
        "messages": [
            _message_out(repository, message, with_probs)
            for message in repository.all_messages(conversation.id)
        ],
        "files": _files_out(repository, conversation.id),
    }


def _files_out(repository: "Repository", conversation_id: str) -> list[dict[str, str | None]]:
    written: list[dict[str, str | None]] = []
    left = MAX_FILES_BYTES
    for sha256 in repository.files.of_conversation(conversation_id):
        try:
            data = repository.files.read(sha256)
        except NotFound:
            continue  # it came in an export without its contents
        left -= len(data)
        packed = base64.b64encode(data).decode("ascii") if left >= 0 else None
        written.append({"sha256": sha256, "data": packed})
    return written


def _message_out(repository: "Repository", message: Message, with_probs: bool) -> dict[str, object]:
    values: dict[str, Any] = {
        "id": message.id,
        "parent_id": message.parent_id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
        "state": message.state,
        "finish_reason": message.finish_reason,
        "provenance": message.provenance.to_dict(),
        "token_ids": message.token_ids,
        "excluded": message.excluded,
        "error": message.error,
    }
    if message.role == "assistant":
        values["events"] = [
            [e.kind, e.level, e.at_token, e.at_char, e.data] for e in repository.events(message.id)
        ]
        if with_probs:
            values["probs"] = [
                [
                    p.text,
                    p.token_id,
                    p.logprob,
                    p.start,
                    [[c.text, c.token_id, c.logprob] for c in p.alternatives],
                ]
                for p in repository.get_probs(message.id)
            ]
    return values


# -- in ------------------------------------------------------------------------------------------


class _Fields:
    """The fields of one JSON object, each checked for its kind. where: its name in an error."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise bad_file("field", where=where, field="{…}")
        self._values = values
        self.where = where

    def text(self, name: str) -> str:
        value = self._values.get(name)
        return clean(value) if isinstance(value, str) else self._fail(name)

    def text_or_none(self, name: str) -> str | None:
        return None if self._values.get(name) is None else self.text(name)

    def key(self, name: str) -> str:
        return self.text(name) or self._fail(name)

    def one_of(self, name: str, allowed: Sequence[str]) -> Any:
        value = self._values.get(name)
        return value if isinstance(value, str) and value in allowed else self._fail(name)

    def time(self, name: str) -> float:
        value = self._values.get(name)
        return float(value) if is_time(value) else self._fail(name)

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        return value if isinstance(value, bool) else self._fail(name)

    def items(self, name: str) -> list[Any]:
        value = self._values.get(name, [])
        return value if isinstance(value, list) else self._fail(name)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._values.get(name) or {}
        return value if isinstance(value, dict) else self._fail(name)

    def _fail(self, name: str) -> NoReturn:
        raise bad_file("field", where=self.where, field=name)


def takes(value: object) -> bool:
    return isinstance(value, dict) and value.get("format") == FORMAT


def refuse_newer(value: Any) -> None:
    """Raise BadFile when a newer version wrote the file, or none is named: nothing in it can be relied on."""
    if not takes(value):
        return
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise bad_file("field", where=FORMAT, field="version")
    if version > FORMAT_VERSION:
        raise bad_file("newer", found=version, known=FORMAT_VERSION)


def read(value: object, where: str) -> Parcel:
    """Return the one conversation that an object of ours holds. Raises BadFile."""
    conversations = _Fields(value, FORMAT).items("conversations")
    if not conversations:
        raise bad_file("nothing")
    return _read_conversation(conversations[0], where)


def _read_conversation(values: object, where: str) -> Parcel:
    fields = _Fields(values, where)
    conversation = Conversation(
        id=fields.key("id"),
        title=fields.text("title"),
        title_by=fields.one_of("title_by", _TITLES_BY),
        created_at=fields.time("created_at"),
        updated_at=fields.time("updated_at"),
        pinned=fields.flag("pinned"),
        settings=_read_settings(fields.mapping("settings")),
        head_id=fields.text_or_none("head_id"),
        resets=_read_resets(fields),
        history_after_reset=fields.flag("history_after_reset"),
        tags=tuple(tag for tag in fields.items("tags") if isinstance(tag, str)),
        archived=fields.flag("archived"),
    )
    messages: list[Message] = []
    events: dict[str, list[GuardEvent]] = {}
    probs: dict[str, list[TokenProb]] = {}
    for place, item in enumerate(fields.items("messages"), 1):
        inner = _Fields(item, f"{fields.where}, message {place}")
        message = _read_message(inner, conversation.id)
        messages.append(message)
        events[message.id] = _read_each(inner, "events", _read_event)
        probs[message.id] = _read_each(inner, "probs", _read_prob)
    ids = {message.id for message in messages}
    if conversation.head_id is not None and conversation.head_id not in ids:
        raise bad_file("field", where=fields.where, field="head_id")
    ordered = in_order(messages, fields.where)
    files = [data for data in _read_each(fields, "files", _read_file) if data]
    return Parcel(conversation, ordered, events, probs, SOURCE, f"{SOURCE}:{conversation.id}", files)


def _read_resets(fields: _Fields) -> tuple[ResetMark, ...]:
    """Older files name the last reset only."""
    if marks := read_resets(fields.items("resets")):
        return marks
    after = fields.text_or_none("state_reset_at")
    return () if after is None else (ResetMark(after, fields.flag("history_after_reset")),)


def _read_settings(values: Mapping[str, object]) -> Settings:
    """Take what is acceptable; an odd setting is no reason to refuse someone's conversations."""
    kinds = {
        "system_prompt": str,
        "preset": str,
        "clear_after_answer": bool,
        "auto_continue": int,
        "guard": dict,
        "advanced": bool,
        "sampling": dict,
        "answer_schema": dict,
    }
    return read_settings({k: v for k, v in values.items() if k in kinds and isinstance(v, kinds[k])})


def _read_message(fields: _Fields, conversation_id: str) -> Message:
    state = fields.one_of("state", (*_STATES, "queued", "streaming"))
    being_written = state not in _STATES
    reason = fields.text_or_none("finish_reason")
    if reason is not None and reason not in _FINISH_REASONS:
        raise bad_file("field", where=fields.where, field="finish_reason")
    token_ids = fields.items("token_ids")
    if not all(type(i) is int and 0 <= i < 2**32 for i in token_ids):
        raise bad_file("field", where=fields.where, field="token_ids")
    return Message(
        id=fields.key("id"),
        conversation_id=conversation_id,
        parent_id=fields.text_or_none("parent_id"),
        role=fields.one_of("role", _ROLES),
        content=fields.text("content"),
        created_at=fields.time("created_at"),
        # An answer that was being written during the export grows no more.
        state="interrupted" if being_written else state,
        finish_reason="interrupted" if being_written else cast("FinishReason | None", reason),
        provenance=read_provenance(fields.mapping("provenance")),
        token_ids=tuple(token_ids),
        excluded=fields.flag("excluded"),
        error=shapes.error(fields.mapping("error")),
    )


def _read_each(fields: _Fields, name: str, read: Callable[[Any], T]) -> list[T]:
    try:
        return [read(item) for item in fields.items(name)]
    except (KeyError, OverflowError, TypeError, ValueError) as exc:
        raise bad_file("field", where=fields.where, field=name) from exc


def _read_file(item: Any) -> bytes:
    """Return a file's contents, empty where the export only names it. What nothing names is not stored."""
    packed = item["data"]
    return b"" if packed is None else base64.b64decode(packed, validate=True)


def _read_event(item: Any) -> GuardEvent:
    kind, level, at_token, at_char, data = item
    if level not in ("note", "warn", "stop"):
        raise ValueError(level)
    return GuardEvent(
        clean(shapes.text(kind)),
        level,
        shapes.whole(at_token),
        shapes.whole(at_char),
        shapes.event_data(dict(data)),
    )


def _read_prob(item: Any) -> TokenProb:
    text, token_id, logprob, start, others = item
    alternatives = tuple(Candidate(str(t), shapes.whole(i), shapes.number(p)) for t, i, p in others)
    return TokenProb(
        str(text), shapes.whole(token_id), shapes.number(logprob), shapes.whole(start), alternatives
    )
