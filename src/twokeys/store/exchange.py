"""Conversations out of the database and into it: our JSON, Markdown, and what other programs exported.

An import never overwrites: ids that are taken are replaced by new ones. It stores the whole file or
nothing. Our own JSON is in own_format.py, ChatGPT's export in chatgpt.py, the readable Markdown in
markdown.py.
"""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twokeys.errors import BadFile
from twokeys.ids import new_id
from twokeys.store import chatgpt, markdown, own_format
from twokeys.store.parcel import Parcel, bad_file
from twokeys.store.repository import Repository
from twokeys.types import Conversation

MAX_UNPACKED_BYTES = 1024 * 2**20

_PAGE = 200
_ZIP_MEMBER = re.compile(r"(^|/)(conversations|twokeys)[^/]*\.json$")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import stored. source: "twokeys" or "chatgpt"."""

    source: str
    conversation_ids: tuple[str, ...]
    message_count: int


class Exchange:
    """Exports from and imports into one repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def export_json(self, conversation_ids: Sequence[str] | None = None, *, with_probs: bool = False) -> str:
        """Return conversations (all chats when None) as our complete JSON. Raises NotFound."""
        return own_format.write(self._repository, self._chosen(conversation_ids), with_probs=with_probs)

    def export_markdown(self, conversation_id: str, language: str) -> str:
        """Return the shown branch of a conversation to be read by people. Raises NotFound."""
        conversation = self._repository.get_conversation(conversation_id)
        return markdown.conversation_text(conversation, self._repository.branch(conversation_id), language)

    def export_markdown_zip(self, language: str) -> bytes:
        """Return all conversations as a zip archive with one Markdown file each."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for conversation in self._chosen(None):
                text = self.export_markdown(conversation.id, language)
                archive.writestr(markdown.file_name(conversation), text)
        return packed.getvalue()

    def import_file(self, data: bytes, name: str) -> Imported:
        """Store the conversations of our JSON, or of ChatGPT's conversations.json or zip.

        name: the file's name, for the error. Raises BadFile, and then nothing was stored.
        """
        try:
            source, parcels = read_file(data)
        except BadFile as exc:
            raise BadFile(name=name, reason=exc.params["reason"]) from exc
        with self._repository.transaction():
            stored = [_store(self._repository, parcel) for parcel in parcels]
        return Imported(source, tuple(stored), sum(len(parcel.messages) for parcel in parcels))

    def _chosen(self, ids: Sequence[str] | None) -> list[Conversation]:
        if ids is not None:
            return [self._repository.get_conversation(conversation_id) for conversation_id in ids]
        found: list[Conversation] = []
        while page := self._repository.list_conversations(_PAGE, len(found)):
            found.extend(page)
        return found


# -- reading -------------------------------------------------------------------------------------


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
    if isinstance(document, dict) and document.get("format") == own_format.FORMAT:
        return "twokeys", own_format.read(document)
    if isinstance(document, dict) and "mapping" in document:
        document = [document]
    if document == []:
        raise bad_file("nothing")
    if isinstance(document, list) and any(
        isinstance(entry, dict) and "mapping" in entry for entry in document
    ):
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


# -- storing -------------------------------------------------------------------------------------


def _store(repository: Repository, parcel: Parcel) -> str:
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
        resets=tuple(
            replace(mark, after=ids[mark.after]) for mark in parcel.conversation.resets if mark.after in ids
        ),
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
