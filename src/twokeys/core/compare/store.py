"""Comparisons as they are stored: read with their live text, listed, renamed, changed, deleted.

What is read is one `Comparison`, whole; `with_answer` and `live` make a newer one of it without reading
again. Writes no answers: that is the service's business. All methods may be called from any thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twokeys.core.answers import Sent
from twokeys.core.compare.comparison import (
    KIND,
    TITLE_LENGTH,
    Blind,
    ColumnView,
    Comparison,
    ComparisonRow,
    Origin,
)
from twokeys.core.compare.record import Record, prefill_of, read_column
from twokeys.core.conversations import Turn
from twokeys.core.jobs import JobManager
from twokeys.core.ports import ChatStore, DocumentStore
from twokeys.errors import NotFound
from twokeys.types import Conversation, Message, StoredDocument, TokenProb, Vote

EVERY = 100_000
"""As a limit: all comparisons."""


class ComparisonDocuments(DocumentStore, Protocol):
    """Where comparisons and votes are stored: the repository's documents."""

    def change(
        self, document_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> StoredDocument: ...

    def add_vote(self, document_id: str | None, key: str, data: Mapping[str, object]) -> Vote: ...

    def votes(self, document_id: str | None = None) -> list[Vote]: ...


class CompareStore(ChatStore, Protocol):
    """Where the answers are stored: the repository."""

    @property
    def documents(self) -> ComparisonDocuments: ...

    def get_messages(self, message_ids: Sequence[str]) -> list[Message]: ...

    def add_messages(self, messages: Sequence[Message]) -> None: ...


class ComparisonStore:
    """Reads and changes comparisons; every change is published on their topics."""

    def __init__(self, store: CompareStore, jobs: JobManager) -> None:
        self._store = store
        self._jobs = jobs

    # ---- reading --------------------------------------------------------------------------------

    def get(self, comparison_id: str) -> Comparison:
        """Return a comparison with its live text. Raises NotFound."""
        document = self.document(comparison_id)
        record = Record.from_dict(document.data)
        conversation = self._store.get_conversation(record.conversation_id)
        path = self._store.path(record.question_id)
        stored = self._store.get_messages([column["answer_id"] for column in record.columns])
        views = tuple(
            self._column_view(number, column, answer)
            for number, (column, answer) in enumerate(
                zip(record.columns, self._jobs.overlay(stored), strict=True)
            )
        )
        return Comparison(
            id=document.id,
            title=document.title,
            created_at=document.created_at,
            updated_at=document.updated_at,
            turn=Turn(conversation, tuple(path)),
            columns=views,
            source=None if record.source is None else Origin(**record.source),
            same_seed=record.same_seed,
            sharing=record.sharing,
            prefill=prefill_of(record, [view.answer for view in views]),
            task_type=record.task_type,
            blind=None
            if record.blind is None
            else Blind(tuple(record.blind["order"]), bool(record.blind["revealed"])),
            deleted_at=document.deleted_at,
        )

    def live(self, comparison: Comparison) -> Comparison:
        """Return a comparison with the text its columns have by now, from the running jobs alone.

        An answer whose job has ended stays as it was read: read the comparison again then.
        """
        answers = self._jobs.overlay([view.answer for view in comparison.columns])
        return replace(
            comparison,
            columns=tuple(
                replace(view, answer=answer, job=self._jobs.of_message(answer.id))
                for view, answer in zip(comparison.columns, answers, strict=True)
            ),
        )

    def with_answer(self, comparison: Comparison, column: int, sent: Sent) -> Comparison:
        """Return a comparison one of whose columns shows the answer that is written from now on."""
        [answer] = self._jobs.overlay([sent.answer_message])
        old = comparison.column(column)
        kept_as = old.kept_as if answer.id == old.answer.id else None
        ids = old.answer_ids if answer.id in old.answer_ids else (*old.answer_ids, answer.id)
        view = replace(old, answer=answer, job=sent.job, answer_ids=ids, kept_as=kept_as)
        return replace(
            comparison, columns=(*comparison.columns[:column], view, *comparison.columns[column + 1 :])
        )

    def list(self, limit: int = 50, offset: int = 0, query: str = "") -> Sequence[ComparisonRow]:
        """Return the comparisons, the latest first; with a query those that have all its words.

        They are looked for in title, question and shown answers, whatever their case.
        """
        words = query.casefold().split()
        if words:
            every = self._store.documents.of_kind(KIND, EVERY)
            documents = [document for document in every if self._has(document, words)]
            documents = documents[offset : offset + limit]
        else:
            documents = self._store.documents.of_kind(KIND, limit, offset)
        return [_row(document) for document in documents]

    def probs(self, comparison_id: str, column: int) -> Sequence[TokenProb]:
        """Return the probabilities of a column's shown answer; empty while it is being written."""
        return self._store.get_probs(self.get(comparison_id).column(column).answer.id)

    def document(self, comparison_id: str) -> StoredDocument:
        """Return a comparison's document. Raises NotFound, for documents of other kinds too."""
        document = self._store.documents.get(comparison_id)
        if document.kind != KIND:
            raise NotFound(kind="comparison", name=comparison_id)
        return document

    # ---- changing -------------------------------------------------------------------------------

    def create(self, title: str, record: Record) -> StoredDocument:
        """Store a new comparison."""
        return self._store.documents.create(KIND, title, record.to_dict())

    def change(self, comparison_id: str, change: Callable[[Record], object]) -> None:
        """Let `change` work on the record as it is now, store it, and tell who looks at it.

        Raises NotFound.
        """

        def changed(data: Mapping[str, object]) -> Mapping[str, object]:
            record = Record.from_dict(data)
            change(record)
            return record.to_dict()

        document = self._store.documents.change(comparison_id, changed)
        self._jobs.topics.publish(Record.from_dict(document.data).conversation_id, {"type": "changed"})

    def rename(self, comparison_id: str, title: str) -> None:
        """Give a comparison another title; an empty one changes nothing. Raises NotFound."""
        self.document(comparison_id)
        if title.strip():
            self._store.documents.update(comparison_id, title=" ".join(title.split())[:TITLE_LENGTH])

    def delete(self, comparison_id: str) -> str:
        """Stop it, move it to the bin with its answers, and return the token that `undo` takes."""
        record = Record.from_dict(self.document(comparison_id).data)
        self._jobs.stop_all(record.conversation_id)
        return self._store.documents.delete(comparison_id)

    def undo(self, token: str) -> None:
        """Take a deletion back. Raises NotFound when it was taken back already or purged."""
        self._store.undo(token)

    # ---- messages outside -----------------------------------------------------------------------

    def visible_message(self, message_id: str) -> Message | None:
        """Return a message that can still be seen: neither it nor what it follows is deleted."""
        try:
            message = self._store.get_message(message_id)
            seen = any(version.id == message_id for version in self._store.siblings(message_id))
        except NotFound:
            return None
        return message if seen and self.visible_conversation(message.conversation_id) is not None else None

    def visible_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation that is there and not deleted."""
        try:
            conversation = self._store.get_conversation(conversation_id)
        except NotFound:
            return None
        return conversation if conversation.deleted_at is None else None

    # ---- within ---------------------------------------------------------------------------------

    def _column_view(self, number: int, column: Mapping[str, Any], answer: Message) -> ColumnView:
        made = read_column(column)
        return ColumnView(
            index=number,
            name=made.name,
            label=made.label,
            sampling=made.sampling,
            preset=made.preset,
            system_prompt=made.system_prompt,
            answer=answer,
            job=self._jobs.of_message(answer.id),
            answer_ids=tuple(column["answer_ids"]),
            kept_as=column["kept_as"].get(answer.id),
            answer_schema=made.answer_schema,
        )

    def _has(self, document: StoredDocument, words: Sequence[str]) -> bool:
        record = Record.from_dict(document.data)
        ids = [record.question_id, *(column["answer_id"] for column in record.columns)]
        texts = [document.title, *(message.content for message in self._store.get_messages(ids))]
        text = "\n".join(texts).casefold()
        return all(word in text for word in words)


def _row(document: StoredDocument) -> ComparisonRow:
    record = Record.from_dict(document.data)
    names = tuple(read_column(column).name for column in record.columns)
    return ComparisonRow(document.id, document.title, document.updated_at, names, record.task_type)
