"""A study's stored measures as arrays: what the analysis works on. Knows no statistics.

Per prompt means come from one pass over all rows, so a hundred thousand of them take a moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twokeys.core.study.measure import ANSWER_MEASURES, SET_MEASURES
from twokeys.core.study.study import Study

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """One row per answer. values: rows × measures, nan where one does not apply; failed, unjudged: by
    row."""

    cell: Ints
    prompt: Ints
    number: Ints
    values: Array
    failed: npt.NDArray[np.bool_]
    unjudged: npt.NDArray[np.bool_]
    names: tuple[str, ...]
    cells: int
    prompts: int

    @classmethod
    def of(cls, study: Study, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> "Table":
        """Build from stored rows: {"c", "p", "s"?, "v", "e"?, "j"?}, see rows.py."""
        place = np.array([(row["c"], row["p"], row.get("s", 0)) for row in rows], dtype=np.int64).reshape(
            -1, 3
        )
        values = np.array([[row["v"].get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
        failed = np.array(["e" in row for row in rows], dtype=bool)
        return cls(
            cell=place[:, 0],
            prompt=place[:, 1],
            number=place[:, 2],
            values=values.reshape(-1, len(names)),
            failed=failed,
            unjudged=np.array(["j" in row for row in rows], dtype=bool),
            names=tuple(names),
            cells=len(study.cells),
            prompts=len(study.prompts),
        )

    @classmethod
    def of_answers(cls, study: Study, rows: Sequence[Mapping[str, object]]) -> "Table":
        return cls.of(study, rows, ANSWER_MEASURES)

    @classmethod
    def of_sets(cls, study: Study, rows: Sequence[Mapping[str, object]]) -> "Table":
        return cls.of(study, rows, SET_MEASURES)

    def prompt_means(self) -> Array:
        """Return the means as cells × prompts × measures, nan where there are none."""
        return self._means(self.prompt, self.prompts)

    def answer_values(self, seeds: int) -> Array:
        """Return single answers as cells × (prompts · seeds) × measures."""
        return self._means(self.prompt * seeds + self.number, self.prompts * seeds)

    def counts(self) -> Array:
        """Return how many answers have a value, as cells × measures."""
        there = ~np.isnan(self.values)
        counted = [np.bincount(self.cell, column, minlength=self.cells) for column in there.T]
        return np.stack(counted, axis=1)

    def _means(self, unit: Ints, units: int) -> Array:
        size = self.cells * units
        place = self.cell * units + unit
        out = np.full((size, len(self.names)), np.nan)
        for column in range(len(self.names)):
            there = ~np.isnan(self.values[:, column])
            total = np.bincount(place[there], self.values[there, column], minlength=size)
            count = np.bincount(place[there], minlength=size)
            np.divide(total, count, out=out[:, column], where=count > 0)
        return out.reshape(self.cells, units, len(self.names))
