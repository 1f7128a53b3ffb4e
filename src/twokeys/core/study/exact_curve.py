"""From the trees of an exact study to curves: the chance of being right over all temperatures from 0 to 2.

The questions are the units: the only chance left is which were asked. What a tree left open widens the
interval. Differences from temperature 0 are judged with an interval for all temperatures together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twokeys.core import stats
from twokeys.core.study.answer_tree import AnswerTree, ExactChance
from twokeys.core.study.cell import Cell, label_of
from twokeys.core.study.measure import MIN_UNITS
from twokeys.core.study.result import CurvePoint, ExactCurve
from twokeys.core.study.spectrum import Array, Cuts
from twokeys.core.study.study import Study

CURVE_TEMPERATURES = np.round(np.arange(0.0, 2.001, 0.05), 2)
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class _Line:
    """What one curve is of: cells that differ in their temperature only."""

    name: str
    cuts: Cuts
    asked: tuple[object, ...]


def exact_curves(study: Study, rows: Sequence[Mapping[str, Any]]) -> tuple[ExactCurve, ...]:
    """Return a curve for each of the cells' settings apart from temperature. rows: "t/…" with their trees."""
    trees: dict[tuple[object, ...], dict[int, AnswerTree]] = {}
    for row in rows:
        if "tree" in row:
            asked = _asked(study.cells[row["c"]])
            trees.setdefault(asked, {})[row["p"]] = AnswerTree.from_dict(row["tree"])
    margin = study.margin("chance") or ALPHA
    curves = []
    for line in dict.fromkeys(_line(study, cell) for cell in study.cells):
        of = trees.get(line.asked, {})
        if of:
            chances = [of[p].chance(line.cuts, CURVE_TEMPERATURES) for p in sorted(of)]
            curves.append(_curve(line.name, chances, margin))
    return tuple(curves)


def _asked(cell: Cell) -> tuple[object, ...]:
    return (cell.setup, cell.form, cell.system_prompt)


def _line(study: Study, cell: Cell) -> _Line:
    name = label_of({axis: value for axis, value in cell.values().items() if axis != "temperature"})
    return _Line(name, Cuts.of(cell.sampling_on(study.base)), _asked(cell))


def _curve(name: str, chances: Sequence[ExactChance], margin: float) -> ExactCurve:
    right = np.stack([chance.right for chance in chances])
    doubt = np.stack([chance.doubt for chance in chances])
    least, most = stats.bootstrap_intervals(right), stats.bootstrap_intervals(right + doubt)
    likely = np.stack([chance.likely for chance in chances])
    enough = len(chances) >= MIN_UNITS
    points = tuple(
        CurvePoint(
            temperature=float(temperature),
            mean=round(float(likely[:, i].mean()), 5),
            low=round(float(np.clip(least.low[i], 0.0, 1.0)), 5) if enough else None,
            high=round(float(np.clip(most.high[i], 0.0, 1.0)), 5) if enough else None,
            doubt=round(float(doubt[:, i].mean()), 5),
        )
        for i, temperature in enumerate(CURVE_TEMPERATURES)
    )
    best = points[int(np.argmax(likely.mean(axis=0)))].temperature
    same_to, worse_from = _against_cold(right, doubt, margin) if enough else (None, None)
    return ExactCurve(name, len(chances), points, best, same_to, worse_from, margin)


def _against_cold(right: Array, doubt: Array, margin: float) -> tuple[float | None, float | None]:
    """Return up to which temperature nothing that matters changes, and from which it is worse for certain.

    Whatever was left open may be right at one temperature and wrong at the other.
    """
    differences = right[:, 1:] - right[:, :1]
    level = 1 - ALPHA / differences.shape[1]
    low = stats.bootstrap_intervals(differences - doubt[:, :1], level=level).low
    high = stats.bootstrap_intervals(differences + doubt[:, 1:], level=level).high
    same = (low > -margin) & (high < margin)
    worse = high < 0
    first_other = int(np.argmin(same)) if not same.all() else len(same)
    last_not_worse = int(np.flatnonzero(~worse)[-1]) if not worse.all() else -1
    same_to = float(CURVE_TEMPERATURES[first_other]) if first_other else None
    at = last_not_worse + 2
    worse_from = float(CURVE_TEMPERATURES[at]) if at < len(CURVE_TEMPERATURES) else None
    return same_to, worse_from
