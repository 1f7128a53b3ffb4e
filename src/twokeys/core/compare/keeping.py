"""Keeping a column: its answer becomes the answer in the conversation that the comparison came from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from twokeys.core.compare.comparison import ColumnView, Comparison, KeptAnswer
from twokeys.core.compare.store import CompareStore, ComparisonStore
from twokeys.core.context import first_words
from twokeys.core.conversations import Conversations
from twokeys.core.jobs import JobManager
from twokeys.errors import BadInput, Reason
from twokeys.ids import new_id
from twokeys.types import Settings


@dataclass(frozen=True, slots=True)
class _Target:
    """The conversation and the question that a kept answer goes to. created: they are new."""

    conversation_id: str
    question_id: str
    created: bool = False


class Keeping:
    """Copies answers of comparisons into conversations. May be called from any thread."""

    def __init__(
        self,
        comparisons: ComparisonStore,
        store: CompareStore,
        conversations: Conversations,
        jobs: JobManager,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._comparisons = comparisons
        self._store = store
        self._conversations = conversations
        self._jobs = jobs
        self._clock = clock

    def keep(self, comparison_id: str, column: int) -> KeptAnswer:
        """Make a column's answer the answer in the conversation that the comparison came from.

        It becomes a version beside the answer there, or follows the question when that was new.
        Without such a conversation a new one is made of question and answer. Keeping the same
        answer twice returns what was made the first time. Raises BadInput while it is written.
        """
        comparison = self._comparisons.get(comparison_id)
        view = comparison.column(column)
        if view.active:
            raise BadInput(reason=Reason("comparison.error.being_written"))
        if view.kept_as is not None:
            earlier = self._comparisons.visible_message(view.kept_as)
            if earlier is not None:
                return KeptAnswer(earlier.conversation_id, earlier.id, False)
        origin = {"comparison": comparison.id, "column": column, "answer": view.answer.id}
        probs = self._store.get_probs(view.answer.id)
        with self._store.transaction():
            target = self._target(comparison, view)
            answer = replace(
                view.answer,
                id=new_id(),
                conversation_id=target.conversation_id,
                parent_id=target.question_id,
                created_at=self._clock(),
                excluded=False,
                provenance=replace(view.answer.provenance, kept_from=origin),
            )
            self._store.add_message(answer)
            if probs:
                self._store.put_probs(answer.id, probs)
        self._comparisons.change(
            comparison_id,
            lambda record: record.columns[column]["kept_as"].update({view.answer.id: answer.id}),
        )
        self._jobs.topics.publish(target.conversation_id, {"type": "changed"})
        return KeptAnswer(target.conversation_id, answer.id, target.created)

    def _target(self, comparison: Comparison, view: ColumnView) -> _Target:
        """Return where the kept answer goes; what is missing there is made."""
        source = comparison.source
        conversation = None
        if source is not None:
            conversation = self._comparisons.visible_conversation(source.conversation_id)
        if conversation is not None and source is not None:
            if source.question_id is not None and self._is_visible(source.question_id):
                return _Target(conversation.id, source.question_id)
            parent = source.parent_id
            if source.question_id is None and (parent is None or self._is_visible(parent)):
                return _Target(conversation.id, self._add_question(conversation.id, parent, comparison))
        made = self._conversations.new(
            Settings(
                view.sampling.with_(seed=None),
                view.system_prompt if view.system_prompt is not None else comparison.system_prompt,
                view.preset,
            )
        )
        self._store.update_conversation(made.id, title=first_words(comparison.question.own_words))
        above: str | None = None
        for message in comparison.history:
            above = self._store.add_message(
                replace(message, id=new_id(), conversation_id=made.id, parent_id=above)
            ).id
        return _Target(made.id, self._add_question(made.id, above, comparison), created=True)

    def _add_question(self, conversation_id: str, parent: str | None, comparison: Comparison) -> str:
        """Add the question; one that the person added there already by keeping is used again."""
        for view in comparison.columns:
            earlier = self._comparisons.visible_message(view.kept_as) if view.kept_as else None
            if earlier and earlier.conversation_id == conversation_id and earlier.parent_id is not None:
                return earlier.parent_id
        question = replace(
            comparison.question,
            id=new_id(),
            conversation_id=conversation_id,
            parent_id=parent,
            created_at=self._clock(),
        )
        return self._store.add_message(question).id

    def _is_visible(self, message_id: str) -> bool:
        return self._comparisons.visible_message(message_id) is not None
