"""Conversations out of the database and into it: our JSON, and what other programs exported.

Our JSON is complete (the whole tree, settings, provenance, token ids; probabilities on request), so
that export and import give the same conversations again. An import never overwrites: ids that are
taken are replaced by new ones. It stores the whole file or nothing. Reading of ChatGPT's export is
in chatgpt.py, the readable Markdown in markdown.py.
"""

import io
import json
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from twokeys import __version__
from twokeys.errors import BadFile
from twokeys.ids import new_id
from twokeys.store import chatgpt, markdown
from twokeys.store.coding import read_settings, to_json
from twokeys.store.parcel import Parcel, bad_file, in_order, is_time
from twokeys.types import Candidate, Conversation, FinishReason, GuardEvent, Message, Settings, TokenProb

if TYPE_CHECKING:
    from twokeys.store.repository import Repository

FORMAT = "twokeys.conversations"
FORMAT_VERSION = 1
MAX_UNPACKED_BYTES = 1024 * 2**20

_ROLES = ("system", "user", "assistant")
_FINISH_REASONS = ("stop", "stop_string", "length", "context", "guard", "cancelled", "interrupted", "error")
_STATES = ("done", "interrupted", "failed")
_TITLES_BY = ("first_words", "model", "person")
_PAGE = 200
_ZIP_MEMBER = re.compile(r"(^|/)(conversations|twokeys)[^/]*\.json$")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import stored. source: "twokeys" or "chatgpt"."""

    source: str
    conversation_ids: tuple[str, ...]
    message_count: int


# -- out -----------------------------------------------------------------------------------------


def export_json(
    repository: "Repository", conversation_ids: Sequence[str] | None = None, *, with_probs: bool = False
) -> str:
    """Return conversations (all when None) as our JSON. Raises NotFound."""
    conversations = _chosen(repository, conversation_ids)
    return to_json(
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "app_version": __version__,
            "exported_at": time.time(),
            "conversations": [_conversation_out(repository, c, with_probs) for c in conversations],
        }
    )


def export_markdown(repository: "Repository", conversation_id: str, language: str) -> str:
    """Return the shown branch of a conversation to be read by people. Raises NotFound."""
    conversation = repository.get_conversation(conversation_id)
    return markdown.conversation_text(conversation, repository.branch(conversation_id), language)


def export_markdown_zip(repository: "Repository", language: str) -> bytes:
    """Return all conversations as a zip archive with one Markdown file each."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for conversation in _chosen(repository, None):
            text = markdown.conversation_text(conversation, repository.branch(conversation.id), language)
            archive.writestr(markdown.file_name(conversation), text)
    return packed.getvalue()


def _chosen(repository: "Repository", ids: Sequence[str] | None) -> Iterable[Conversation]:
    if ids is not None:
        return [repository.get_conversation(one) for one in ids]
    found: list[Conversation] = []
    while page := repository.list_conversations(_PAGE, len(found)):
        found.extend(page)
    return found


def _conversation_out(
    repository: "Repository", conversation: Conversation, with_probs: bool
) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "title": conversation.title,
        "title_by": conversation.title_by,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "pinned": conversation.pinned,
        "settings": conversation.settings.to_dict(),
        "head_id": conversation.head_id,
        "state_reset_at": conversation.state_reset_at,
        "history_after_reset": conversation.history_after_reset,
        "messages": [
            _message_out(repository, message, with_probs)
            for message in repository.all_messages(conversation.id)
        ],
    }


def _message_out(repository: "Repository", message: Message, with_probs: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": message.id,
        "parent_id": message.parent_id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
        "state": message.state,
        "finish_reason": message.finish_reason,
        "provenance": message.provenance,
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


def import_file(repository: "Repository", data: bytes, name: str) -> Imported:
    """Store the conversations of our JSON, or of ChatGPT's conversations.json or zip.

    name: the file's name, for the error. Raises BadFile, and then nothing was stored.
    """
    try:
        source, parcels = read_file(data)
    except BadFile as exc:
        raise BadFile(name=name, reason=exc.params["reason"]) from exc
    with repository.transaction():
        stored = [_store(repository, parcel) for parcel in parcels]
    return Imported(source, tuple(stored), sum(len(parcel.messages) for parcel in parcels))


def read_file(data: bytes) -> tuple[str, list[Parcel]]:
    """Return where a file comes from and the conversations in it. Raises BadFile."""
    if not data:
        raise bad_file("empty")
    documents = _unzipped(data) if data.startswith(b"PK") else [data]
    source = ""
    parcels: list[Parcel] = []
    for document in documents:
        source, found = _read_document(_parsed(document))
        parcels.extend(found)
    return source, parcels


def _read_document(document: Any) -> tuple[str, list[Parcel]]:
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return "twokeys", _read_ours(document)
    if isinstance(document, dict) and "mapping" in document:
        document = [document]
    if document == []:
        raise bad_file("nothing")
    if isinstance(document, list) and any(isinstance(one, dict) and "mapping" in one for one in document):
        return "chatgpt", chatgpt.read(document)
    raise bad_file("unknown_format")


def _unzipped(data: bytes) -> list[bytes]:
    """Return the members that hold conversations; large exports have several."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = sorted(
                (m for m in archive.infolist() if _ZIP_MEMBER.search(m.filename)), key=lambda m: m.filename
            )
            if not members:
                raise bad_file("no_conversations")
            if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
                raise bad_file("too_large", limit=MAX_UNPACKED_BYTES // 2**20)
            return [archive.read(member) for member in members]
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as exc:
        raise bad_file("broken_zip") from exc


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise bad_file("not_text") from exc
    except RecursionError as exc:
        raise bad_file("not_json", detail="nesting") from exc
    except ValueError as exc:
        raise bad_file("not_json", detail=str(exc)) from exc


# -- our JSON ------------------------------------------------------------------------------------


class _Fields:
    """The fields of one JSON object, each checked for its kind. where: its name in an error."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise bad_file("field", where=where, field="{…}")
        self._values = values
        self.where = where

    def text(self, name: str) -> str:
        value = self._values.get(name)
        return value if isinstance(value, str) else self._fail(name)

    def text_or_none(self, name: str) -> str | None:
        return None if self._values.get(name) is None else self.text(name)

    def key(self, name: str) -> str:
        return self.text(name) or self._fail(name)

    def one_of(self, name: str, allowed: Sequence[str]) -> Any:
        value = self._values.get(name)
        return value if value in allowed else self._fail(name)

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


def _read_ours(document: Mapping[str, Any]) -> list[Parcel]:
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise bad_file("field", where=FORMAT, field="version")
    if version > FORMAT_VERSION:
        raise bad_file("newer", found=version, known=FORMAT_VERSION)
    conversations = _Fields(document, FORMAT).items("conversations")
    if not conversations:
        raise bad_file("nothing")
    return [_read_conversation(values, number) for number, values in enumerate(conversations, 1)]


def _read_conversation(values: Any, number: int) -> Parcel:
    fields = _Fields(values, f"conversation {number}")
    conversation = Conversation(
        id=fields.key("id"),
        title=fields.text("title"),
        title_by=fields.one_of("title_by", _TITLES_BY),
        created_at=fields.time("created_at"),
        updated_at=fields.time("updated_at"),
        pinned=fields.flag("pinned"),
        settings=_read_settings(fields.mapping("settings")),
        head_id=fields.text_or_none("head_id"),
        state_reset_at=fields.text_or_none("state_reset_at"),
        history_after_reset=fields.flag("history_after_reset"),
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
    return Parcel(conversation, in_order(messages, fields.where), events, probs)


def _read_settings(values: Mapping[str, Any]) -> Settings:
    """Take what is acceptable; an odd setting is no reason to refuse someone's conversations."""
    kinds = {
        "system_prompt": str,
        "preset": str,
        "clear_after_answer": bool,
        "auto_continue": int,
        "guard": dict,
        "advanced": bool,
        "sampling": dict,
    }
    return read_settings({k: v for k, v in values.items() if k in kinds and isinstance(v, kinds[k])})


def _read_message(fields: _Fields, conversation_id: str) -> Message:
    state = fields.one_of("state", (*_STATES, "queued", "streaming"))
    being_written = state not in _STATES
    reason = fields.text_or_none("finish_reason")
    if reason is not None and reason not in _FINISH_REASONS:
        raise bad_file("field", where=fields.where, field="finish_reason")
    token_ids = fields.items("token_ids")
    if not all(isinstance(i, int) and 0 <= i < 2**32 for i in token_ids):
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
        provenance=fields.mapping("provenance"),
        token_ids=tuple(token_ids),
        excluded=fields.flag("excluded"),
        error=fields.mapping("error") or None,
    )


def _read_each(fields: _Fields, name: str, read: Callable[[Any], T]) -> list[T]:
    try:
        return [read(item) for item in fields.items(name)]
    except (TypeError, ValueError) as exc:
        raise bad_file("field", where=fields.where, field=name) from exc


def _read_event(item: Any) -> GuardEvent:
    kind, level, at_token, at_char, data = item
    if level not in ("note", "warn", "stop"):
        raise ValueError(level)
    return GuardEvent(str(kind), level, int(at_token), int(at_char), dict(data))


def _read_prob(item: Any) -> TokenProb:
    text, token_id, logprob, start, others = item
    alternatives = tuple(Candidate(str(t), int(i), float(p)) for t, i, p in others)
    return TokenProb(str(text), int(token_id), float(logprob), int(start), alternatives)


# -- storing -------------------------------------------------------------------------------------


def _store(repository: "Repository", parcel: Parcel) -> str:
    if repository.holds(parcel.conversation.id, [message.id for message in parcel.messages]):
        parcel = _with_new_ids(parcel)
    repository.create_conversation(replace(parcel.conversation, head_id=None))
    repository.add_messages(parcel.messages)
    for message_id, events in parcel.events.items():
        if events:
            repository.add_events(message_id, events)
    for message_id, probs in parcel.probs.items():
        if probs:
            repository.put_probs(message_id, probs)
    repository.update_conversation(parcel.conversation.id, head_id=parcel.conversation.head_id)
    return parcel.conversation.id


def _with_new_ids(parcel: Parcel) -> Parcel:
    ids = {message.id: new_id() for message in parcel.messages}
    conversation = replace(
        parcel.conversation,
        id=new_id(),
        head_id=ids.get(parcel.conversation.head_id or ""),
        state_reset_at=ids.get(parcel.conversation.state_reset_at or ""),
    )
    return Parcel(
        conversation,
        tuple(
            replace(
                message,
                id=ids[message.id],
                conversation_id=conversation.id,
                parent_id=None if message.parent_id is None else ids[message.parent_id],
                provenance=_renamed(message.provenance, ids),
            )
            for message in parcel.messages
        ),
        {ids[old]: events for old, events in parcel.events.items()},
        {ids[old]: probs for old, probs in parcel.probs.items()},
    )


def _renamed(value: Any, ids: Mapping[str, str]) -> Any:
    """Return provenance in which the messages left out or started from go by their new ids."""
    if isinstance(value, Mapping):
        return {name: _renamed(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, ids) for inner in value]
    return ids.get(value, value) if isinstance(value, str) else value
