"""The blind vote: the columns are shuffled and their parameters hidden, a person judges, then sees.

Stores the judgements and asks `votes` what they add up to; `votes` loads numpy, so it is
imported where it is asked and not by every start. All methods may be called from any thread.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.core.compare.record import Record
from twokeys.core.compare.store import ComparisonDocuments, ComparisonStore
from twokeys.core.presets import Presets
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.types import Preset, Settings, Vote

if TYPE_CHECKING:
    from twokeys.core.compare.votes import Standing


class Voting:
    """Votes on stored comparisons, and what all of them say."""

    def __init__(
        self, comparisons: ComparisonStore, documents: ComparisonDocuments, presets: Presets
    ) -> None:
        self._comparisons = comparisons
        self._documents = documents
        self._presets = presets

    def hide(self, comparison_id: str, task_type: str | None = None) -> Comparison:
        """Begin a blind vote: shuffle the columns and hide their parameters (`comparison.blind`)."""

        def change(record: Record) -> None:
            record.blind = new_blind(len(record.columns))
            record.task_type = task_type or record.task_type

        self._comparisons.change(comparison_id, change)
        return self._comparisons.get(comparison_id)

    def vote(
        self,
        comparison_id: str,
        best: Sequence[int],
        among: Sequence[int] | None = None,
        *,
        task_type: str | None = None,
    ) -> None:
        """Store a judgement: `best` of the columns `among` (all by default).

        best: one column number, or several for a tie. among: the columns compared, two for a pair.
        A vote after the reveal is stored as not blind and counts in no estimate. A second vote
        on the same columns replaces the first. Raises BadInput while a column is being written.
        """
        from twokeys.core.compare import votes

        comparison = self._comparisons.get(comparison_id)
        numbers = sorted({*(range(len(comparison.columns)) if among is None else among)})
        views = [comparison.column(number) for number in numbers]
        if len(views) < 2 or not best or not set(best) <= set(numbers):
            raise BadInput(reason=Reason("comparison.error.vote"))
        if any(view.active for view in views):
            raise BadInput(reason=Reason("comparison.error.being_written"))
        blind = comparison.blind is not None and not comparison.blind.revealed
        order = comparison.blind.order if comparison.blind is not None else tuple(numbers)
        data = votes.vote_data(
            order=[number for number in order if number in numbers],
            best=sorted(set(best)),
            blind=blind,
            task_type=task_type or comparison.task_type,
            model=views[0].answer.provenance.model,
            columns={view.index: _judged(view, comparison.system_prompt) for view in views},
        )
        self._documents.add_vote(comparison_id, ",".join(map(str, numbers)), data)

        def change(record: Record) -> None:
            record.task_type = task_type or record.task_type

        self._comparisons.change(comparison_id, change)

    def votes(self, comparison_id: str) -> Sequence[Vote]:
        """Return the votes on a comparison that count as the last word, oldest first."""
        last = {vote.key: vote for vote in self._documents.votes(comparison_id)}
        return list(last.values())

    def reveal(self, comparison_id: str) -> Comparison:
        """Show the parameters: ends the blind vote."""

        def change(record: Record) -> None:
            if record.blind is not None:
                record.blind = {**record.blind, "revealed": True}

        self._comparisons.change(comparison_id, change)
        return self._comparisons.get(comparison_id)

    def task_types(self) -> Sequence[str]:
        """Return the task types that have blind votes, the most voted first."""
        from twokeys.core.compare import votes

        return votes.task_types(self._documents.votes())

    def standing(self, task_type: str | None = None, model: str | None = None) -> "Standing":
        """Return what the blind votes say; of one task type or of all, of one model or of all."""
        from twokeys.core.compare import votes

        return votes.standing(self._documents.votes(), task_type, model)

    def save_winner(self, contestant_key: str, name: str, *, replace: bool = False) -> Preset:
        """Save a contestant of a standing as a preset. Raises NotFound, and what Presets.save raises."""
        for contestant in self.standing().contestants:
            if contestant.key == contestant_key:
                sampling = contestant.sampling.with_(seed=None)
                settings = Settings(sampling, contestant.system_prompt)
                return self._presets.save(name, settings, replace=replace)
        raise NotFound(kind="contestant", name=contestant_key)


def new_blind(columns: int) -> dict[str, object]:
    """Return the record of a blind vote that begins: the columns in an order nobody can foresee."""
    return {"order": random.SystemRandom().sample(range(columns), columns), "revealed": False}


def _judged(view: ColumnView, system_prompt: str) -> dict[str, object]:
    """Return what is stored of a column with a vote. system_prompt: the comparison's."""
    return {
        "sampling": view.sampling.to_dict(),
        "preset": view.preset,
        "system_prompt": system_prompt if view.system_prompt is None else view.system_prompt,
        "answer_id": view.answer.id,
    }
