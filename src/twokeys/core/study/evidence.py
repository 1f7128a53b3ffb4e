"""A study that was run, as what the claims and reports read: its rows, and comparisons made of them.

Judges nothing: that is claim_rules.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twokeys.core.study.result import MeasureComparison, StudyResult
from twokeys.core.study.study import Study


@dataclass(frozen=True, slots=True)
class Evidence:
    """A study that was run: its rows "a/…", "s/…" and "t/…", measures by name (rows.py)."""

    study: Study
    model: str
    answers: Sequence[Mapping[str, Any]]
    sets: Sequence[Mapping[str, Any]]
    texts: Sequence[Mapping[str, Any]]
    engine: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def result(self, study_id: str = "") -> StudyResult:
        """Return the study's results."""
        from twokeys.core.study.analysis import analyse

        return analyse(
            study_id, self.study, self.answers, self.sets, self.texts,
            model=self.model, engine=self.engine, engines=self.engines,
        )  # fmt: skip

    def compare(self, measure: str, cell: str, baseline: str) -> MeasureComparison | None:
        """Return one measure of one cell against another; None without answers."""
        from twokeys.core.study.analysis import compare_rows

        study = replace(self.study, baseline=baseline, outcomes=(measure,))
        comparisons = compare_rows(study, self.answers, self.sets)
        return next((comparison for comparison in comparisons if comparison.cell == cell), None)

    def where(self, keep: Callable[[int], bool]) -> "Evidence":
        """Return the evidence of the prompts whose position `keep` accepts."""

        def selected(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, object]]:
            return [row for row in rows if keep(row["p"])]

        return replace(
            self, answers=selected(self.answers), sets=selected(self.sets), texts=selected(self.texts)
        )

    def within_reach(self) -> "Evidence":
        """Return the evidence of the prompts that were answered right at least once, in whatever cell.

        What is never right cannot differ. Choosing by all cells together favours none of them.
        """
        right = {row["p"] for row in self.answers if row["v"].get("correct")}
        return self.where(right.__contains__)

    @property
    def prompts(self) -> int:
        """How many prompts have answers."""
        return len({row["p"] for row in self.answers})

    def values(self, measure: str, cell: str, task: str | None = None) -> list[float]:
        """Return a measure's values in a cell (of one task's prompts)."""
        place = self._cell(cell)
        return [
            row["v"][measure]
            for row in self.answers
            if row["c"] == place
            and measure in row["v"]
            and (task is None or self.study.prompts[row["p"]].task == task)
        ]

    def curves(self, name: str, cell: str) -> list[list[float]]:
        """Return the curves along the single answers of a cell."""
        place = self._cell(cell)
        return [
            row["along"][name] for row in self.texts if row["c"] == place and name in row.get("along", {})
        ]

    def written(self, cell: str) -> dict[tuple[int, int], str]:
        """Return a cell's texts by prompt and number."""
        place = self._cell(cell)
        return {(row["p"], row["s"]): row["text"] for row in self.texts if row["c"] == place}

    def _cell(self, name: str) -> int:
        return [cell.name for cell in self.study.cells].index(name)
