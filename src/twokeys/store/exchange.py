"""Conversations out of the database and into it: our JSON, Markdown, and what other programs exported.

An import never overwrites: ids that are taken are replaced by new ones. A file that is broken as a whole
stores nothing; a conversation in it that is broken is left out. The formats are in formats/, the
readable Markdown in markdown.py.
"""

import io
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twokeys.errors import BadFile, Reason
from twokeys.ids import new_id
from twokeys.store import markdown
from twokeys.store.formats import own, read_conversations
from twokeys.store.json_stream import read_values
from twokeys.store.parcel import Parcel, bad_file
from twokeys.store.repository import Repository
from twokeys.store.unpack import sources
from twokeys.types import AlreadyHere, Conversation, Imported, LeftOut, Message, Provenance

MOST_LEFT_OUT = 1000
"""A file in which more cannot be read is no file of conversations: millions of tiny values fit into one."""
_PAGE = 200
_KEPT_BYTES = 8 * 2**20
"""Up to this size what was read is kept for the storing; a larger file and an archive are read again."""


class Exchange:
    """Exports from and imports into one repository."""

    def __init__(
        self, repository: Repository, text_of: Callable[[Message], str] = markdown.own_words
    ) -> None:
        """text_of: how a message's text is written in Markdown."""
        self._repository = repository
        self._text_of = text_of

    def export_json(self, conversation_ids: Sequence[str] | None = None, *, with_probs: bool = False) -> str:
        """Return conversations (all chats when None) as our complete JSON. Raises NotFound."""
        return own.write(self._repository, self._chosen(conversation_ids), with_probs=with_probs)

    def export_markdown(self, conversation_id: str, language: str) -> str:
        """Return the shown branch of a conversation to be read by people. Raises NotFound."""
        conversation = self._repository.get_conversation(conversation_id)
        messages = self._repository.branch(conversation_id)
        return markdown.conversation_text(conversation, messages, language, self._text_of)

    def export_markdown_zip(self, language: str, conversation_ids: Sequence[str] | None = None) -> bytes:
        """Return conversations (all chats when None) as a zip archive with one Markdown file each."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for conversation in self._chosen(conversation_ids):
                text = self.export_markdown(conversation.id, language)
                archive.writestr(markdown.file_name(conversation), text)
        return packed.getvalue()

    def import_file(
        self, data: bytes, name: str, *, again: bool = False, only: Collection[str] | None = None
    ) -> Imported:
        """Store the conversations of a file in any of the known formats, or of a zip archive of such files.

        A conversation that cannot be read is left out and told, one that is here already is not stored
        twice unless `again`. only: the origins to take, None for all. name: the file's name, for the
        error. The file is read twice: whole before anything is stored. Raises BadFile when nothing in it
        can be used, and then nothing was stored.
        """
        try:
            small = len(data) <= _KEPT_BYTES and not data.startswith(b"PK")
            whole = [*_conversations(data, name)] if small else None
            seen = _Seen()
            for entry in whole if whole is not None else _conversations(data, name):
                seen.add(entry)
            if not seen.parcels:
                raise BadFile(name="", reason=seen.reason)
        except BadFile as exc:
            raise BadFile(name=name, reason=exc.params["reason"]) from exc
        stored: list[str] = []
        here: list[AlreadyHere] = []
        messages = 0
        for parcel in whole if whole is not None else _conversations(data, name):
            if isinstance(parcel, LeftOut) or (only is not None and parcel.origin not in only):
                continue
            with self._repository.transaction():
                known = None if again else self._repository.imported_as(parcel.origin)
                if known is not None:
                    here.append(AlreadyHere(parcel.origin, known.title, known.id))
                    continue
                stored.append(_store(self._repository, parcel))
                self._repository.note_import(parcel.origin, stored[-1])
                messages += len(parcel.messages)
        return Imported(seen.source, tuple(stored), messages, tuple(seen.left_out), tuple(here))

    def _chosen(self, ids: Sequence[str] | None) -> list[Conversation]:
        if ids is not None:
            return [self._repository.get_conversation(conversation_id) for conversation_id in ids]
        conversations: list[Conversation] = []
        while page := self._repository.list_conversations(_PAGE, len(conversations)):
            conversations.extend(page)
        return conversations


def _conversations(data: bytes, name: str) -> Iterator[Parcel | LeftOut]:
    """Give what a file holds, one conversation at a time. Raises BadFile."""
    if not data:
        raise bad_file("empty")
    left_out = 0
    for source in sources(data, name):
        with source.open() as stream:
            entries = read_conversations(read_values(stream))
            # Any JSON may lie in an archive: what is not certain need not be a conversation at all.
            for entry in entries if source.certain else _readable(entries):
                left_out += isinstance(entry, LeftOut)
                if left_out > MOST_LEFT_OUT:
                    raise bad_file("unknown_format")
                if source.certain or isinstance(entry, Parcel):
                    yield entry


def _readable(entries: Iterator[Parcel | LeftOut]) -> Iterator[Parcel | LeftOut]:
    """Give what can be read of a file that need not hold conversations at all."""
    while True:
        try:
            yield next(entries)
        except (StopIteration, BadFile):
            return


class _Seen:
    """What a file was found to hold, without holding it."""

    def __init__(self) -> None:
        self.source = ""
        self.parcels = 0
        self.left_out: list[LeftOut] = []

    def add(self, entry: Parcel | LeftOut) -> None:
        if isinstance(entry, LeftOut):
            self.left_out.append(entry)
        else:
            self.source = self.source or entry.source
            self.parcels += 1

    @property
    def reason(self) -> Reason:
        """Why nothing of the file can be used: the first reason that says more than another does."""
        reasons = [left_out.reason for left_out in self.left_out]
        telling = [reason for reason in reasons if reason.key != "store.bad.unknown_format"]
        return (telling or reasons or [Reason("store.bad.nothing")])[0]


# -- storing -------------------------------------------------------------------------------------


def _store(repository: Repository, parcel: Parcel) -> str:
    if repository.holds(parcel.conversation.id, [message.id for message in parcel.messages]):
        parcel = _with_new_ids(parcel)
    for data in parcel.files:
        repository.files.keep(data)
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
                provenance=Provenance.from_dict(_renamed(message.provenance.to_dict(), ids)),
            )
            for message in parcel.messages
        ),
        {ids[old]: events for old, events in parcel.events.items()},
        {ids[old]: probs for old, probs in parcel.probs.items()},
        parcel.source,
        parcel.origin,
        parcel.files,
    )


def _renamed(value: object, ids: Mapping[str, str]) -> Any:
    """Return provenance in which the messages left out or started from go by their new ids."""
    if isinstance(value, Mapping):
        return {name: _renamed(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, ids) for inner in value]
    return ids.get(value, value) if isinstance(value, str) else value
