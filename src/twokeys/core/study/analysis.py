"""What the rows of a study say: estimates, comparisons with the baseline on the same prompts, verdicts.

The unit is the prompt: its answers are averaged first, as answers to one question are not
independent. With fewer than 8 prompts the single answers are the units, and a verdict speaks of
these prompts only. Mathematics: core/stats.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from twokeys.core import stats
from twokeys.core.study.answer import WINDOW
from twokeys.core.study.engine_analysis import check_engines
from twokeys.core.study.measure import (
    ANSWER_MEASURES,
    FEW_PROMPTS,
    MEASURES,
    MIN_UNITS,
    SET_MEASURES,
    Measure,
)
from twokeys.core.study.result import (
    Along,
    AtBound,
    CellResult,
    CutOff,
    Estimate,
    ExactCurve,
    Kind,
    MeasureComparison,
    Step,
    StudyResult,
)
from twokeys.core.study.study import Study
from twokeys.core.study.table import Array, Table

ALPHA = 0.05
BOUND_NEAR = 0.02
"""A value this near to a bound, as a share of the whole range, counts as at the bound."""


def analyse(
    study_id: str,
    study: Study,
    answers: Sequence[Mapping[str, object]],
    sets: Sequence[Mapping[str, object]],
    along: Sequence[Mapping[str, object]] = (),
    *,
    model: str = "",
    engine: Mapping[str, object] | None = None,
    engines: Mapping[str, Mapping[str, object]] | None = None,
) -> StudyResult:
    """Return all results. answers, sets: the rows "a/…" and "s/…", by name (rows.py). engines: what wrote
    them, by the names that rows carry.

    along: bare values of the rows "t/…" whose curves are wanted; empty leaves the curves out.
    """
    table, of_sets = Table.of_answers(study, answers), Table.of_sets(study, sets)
    units, unit = _units(study, table, of_sets)
    curves = _curves(study, along, unit)
    counts = np.concatenate([table.counts(), of_sets.counts()], axis=1)
    return StudyResult(
        study_id=study_id,
        study=study,
        model=model,
        engine=dict(engine or {}),
        complete=len(answers) >= study.generations,
        answers=len(answers),
        cells=_cells(study, table, units, counts, curves),
        comparisons=compare(study, units, unit),
        window=WINDOW,
        cut_offs=_cut_offs(study, answers),
        engines=check_engines(study, answers, engines or {}),
        exact=_exact(study, along),
    )


def compare_rows(
    study: Study, answers: Sequence[Mapping[str, object]], sets: Sequence[Mapping[str, object]]
) -> tuple[MeasureComparison, ...]:
    """Return the verdicts alone, without the estimates of each cell: see `analyse`."""
    units, unit = _units(study, Table.of_answers(study, answers), Table.of_sets(study, sets))
    return compare(study, units, unit)


def _exact(study: Study, rows: Sequence[Mapping[str, object]]) -> tuple[ExactCurve, ...]:
    if study.kind != "exact":
        return ()
    from twokeys.core.study.exact_curve import exact_curves

    return exact_curves(study, rows)


def _cut_offs(study: Study, answers: Sequence[Mapping[str, Any]]) -> tuple[CutOff, ...]:
    """Count what each length cut off, by task, where the study compares lengths."""
    lengths = [cell.sampling_on(study.base).max_new_tokens for cell in study.cells]
    if len(set(lengths)) < 2:
        return ()
    cut: Counter[tuple[str, int]] = Counter()
    seen: Counter[tuple[str, int]] = Counter()
    for row in answers:
        truncated = row["v"].get("truncated")
        if truncated is not None:
            place = (study.prompts[row["p"]].task, lengths[row["c"]])
            seen[place] += 1
            cut[place] += bool(truncated)
    tasks = list(dict.fromkeys(prompt.task for prompt in study.prompts))
    places = sorted(seen, key=lambda place: (tasks.index(place[0]), place[1]))  # type: ignore[arg-type]
    return tuple(CutOff(*place, cut[place], seen[place]) for place in places)


def _units(study: Study, table: Table, of_sets: Table) -> tuple[Array, Literal["prompts", "answers"]]:
    """Return cells × units × all measures. Measures of sets have one value per prompt in any case."""
    if len(study.prompts) >= FEW_PROMPTS or study.seeds == 1:
        return np.concatenate([table.prompt_means(), of_sets.prompt_means()], axis=2), "prompts"
    single = table.answer_values(study.seeds)
    sets = np.full((len(study.cells), len(study.prompts), study.seeds, len(SET_MEASURES)), np.nan)
    sets[:, :, 0] = of_sets.prompt_means()
    return np.concatenate([single, sets.reshape(*single.shape[:2], -1)], axis=2), "answers"


_NAMES = (*ANSWER_MEASURES, *SET_MEASURES)


def _cells(
    study: Study,
    table: Table,
    units: Array,
    counts: Array,
    curves: Mapping[int, Along],
) -> tuple[CellResult, ...]:
    cells, many, measures = units.shape
    intervals = stats.bootstrap_intervals(units.transpose(1, 0, 2).reshape(many, cells * measures))
    mean, low, high, n = (
        array.reshape(cells, measures)
        for array in (intervals.mean, intervals.low, intervals.high, intervals.n)
    )
    answers = np.bincount(table.cell, minlength=cells)
    failed = np.bincount(table.cell[table.failed], minlength=cells)
    unjudged = np.bincount(table.cell[table.unjudged], minlength=cells)
    results = []
    for cell in range(cells):
        estimates = {
            name: Estimate(
                mean=float(mean[cell, i]),
                low=_bound(name, low[cell, i], n[cell, i], 0.0),
                high=_bound(name, high[cell, i], n[cell, i], 0.0),
                answers=int(counts[cell, i]),
                units=int(n[cell, i]),
            )
            for i, name in enumerate(_NAMES)
            if n[cell, i] > 0
        }
        results.append(
            CellResult(
                name=study.cells[cell].name,
                values=study.cells[cell].values(),
                answers=int(answers[cell]),
                failed=int(failed[cell]),
                unjudged=int(unjudged[cell]),
                estimates=estimates,
                along=curves.get(cell, {}),
            )
        )
    return tuple(results)


def compare(study: Study, units: Array, unit: Literal["prompts", "answers"]) -> tuple[MeasureComparison, ...]:
    """Return the verdicts of all outcomes for every cell but the baseline, Holm-corrected together."""
    base = study.cells.index(study.baseline_cell)
    others = [cell for cell in range(len(study.cells)) if cell != base]
    outcomes = [name for name in study.outcomes if name in _NAMES]
    if not others or not outcomes:
        return ()
    columns = [(cell, _NAMES.index(name)) for name in outcomes for cell in others]
    differences = np.stack([units[cell, :, i] - units[base, :, i] for cell, i in columns], axis=1)
    baselines = np.array([_mean(units[base, :, i]) for _, i in columns])
    margins = np.array(
        [_margin(study, _NAMES[i], level) for (_, i), level in zip(columns, baselines, strict=True)]
    )
    measures = [MEASURES[_NAMES[i]] for _, i in columns]
    least = np.array(
        [least_spread(measure, margin) for measure, margin in zip(measures, margins, strict=True)]
    )
    intervals = stats.bootstrap_intervals(differences)
    count = max(1, int(np.count_nonzero(intervals.n)))
    corrected = stats.bootstrap_intervals(differences, level=1.0 - ALPHA / count)
    p = np.where(intervals.n >= MIN_UNITS, stats.permutation_p(differences), np.nan)
    p_holm = stats.holm(p)
    p_same = np.where(intervals.n >= MIN_UNITS, stats.equivalence_p(differences, margins, least), np.nan)
    made = []
    for column, (cell, i) in enumerate(columns):
        if intervals.n[column] == 0:
            continue
        made.append(
            _comparison(
                study,
                _NAMES[i],
                cell,
                differences[:, column],
                (float(intervals.mean[column]), float(intervals.low[column]), float(intervals.high[column])),
                (float(corrected.low[column]), float(corrected.high[column]), count),
                (float(p[column]), float(p_holm[column]), float(p_same[column])),
                float(margins[column]),
                unit,
                _at_bound(MEASURES[_NAMES[i]], units[base, :, i], units[cell, :, i]),
            )
        )
    return tuple(made)


def _at_bound(measure: Measure, baseline: Array, cell: Array) -> AtBound:
    """Return the shares of the units with a difference that are at a bound of the measure."""
    there = ~np.isnan(baseline) & ~np.isnan(cell)
    if not there.any():
        return AtBound()
    shares = {}
    both = 0.0
    for name, bound in (("floor", measure.floor), ("ceiling", measure.ceiling)):
        if bound is not None:
            near = BOUND_NEAR * (measure.ceiling or 0.0) + 1e-9
            base_at, cell_at = (np.abs(values[there] - bound) <= near for values in (baseline, cell))
            shares[name] = float(base_at.mean())
            both += float((base_at & cell_at).mean())
    return AtBound(**shares, both=both)


def _comparison(
    study: Study,
    name: str,
    cell: int,
    differences: Array,
    interval: tuple[float, float, float],
    corrected: tuple[float, float, int],
    p: tuple[float, float, float],
    margin: float,
    unit: Literal["prompts", "answers"],
    at_bound: AtBound,
) -> MeasureComparison:
    mean, low, high = interval
    kind: Kind = "undecided"
    if p[1] < ALPHA:
        kind = "different"
    elif p[2] < ALPHA:
        kind = "same"
    there = differences[~np.isnan(differences)]
    measure = MEASURES[name]
    per_unit = study.seeds if unit == "prompts" else 1
    better = None
    if kind == "different" and measure.better != "neither":
        better = (mean > 0) == (measure.better == "higher")
    return MeasureComparison(
        measure=name,
        cell=study.cells[cell].name,
        baseline=study.baseline_cell.name,
        difference=mean,
        low=_bound(name, low, len(there), -1.0),
        high=_bound(name, high, len(there), -1.0),
        p=_known(p[0]),
        p_holm=_known(p[1]),
        p_same=_known(p[2]),
        margin=_known(margin),
        pairs=len(there) * per_unit,
        units=len(there),
        unit=unit,
        kind=kind,
        better=better,
        more_answers=_more(there, margin, least_spread(measure, margin), per_unit)
        if kind == "undecided"
        else None,
        low_corrected=_bound(name, corrected[0], len(there), -1.0),
        high_corrected=_bound(name, corrected[1], len(there), -1.0),
        comparisons=corrected[2],
        at_bound=at_bound,
    )


def _more(differences: Array, margin: float, least: float, per_unit: int) -> int | None:
    """Return about how many more answers a verdict would take: to show a difference of the margin where
    the present one is at least as large, else to show that none matters. None when it cannot be said."""
    if len(differences) < MIN_UNITS or np.isnan(margin) or margin <= 0:
        return None
    spread = max(float(np.std(differences, ddof=1)), least)
    if spread == 0:
        return None
    mean = abs(float(np.mean(differences)))
    if mean >= margin:
        needed = stats.units_needed(mean, spread)
    else:
        # what is left of the margin beside the present difference; half of it at least
        needed = stats.units_for_equivalence(max(margin - mean, margin / 2), spread)
    return max(1, needed - len(differences)) * per_unit


def least_spread(measure: Measure, margin: float) -> float:
    """Return the standard deviation that equal differences are still credited with.

    A share that happened to agree in a few answers could differ in the next: √(margin·(1 − margin)).
    Other measures: a quarter of their usual spread.
    """
    if measure.binary and 0 < margin < 1:
        return float(np.sqrt(margin * (1 - margin)))
    return 0.0 if measure.relative else measure.spread / 4


def _margin(study: Study, name: str, level: float) -> float:
    margin = study.margin(name)
    if margin is None:
        return float("nan")
    if MEASURES[name].relative and name not in study.margins:
        return abs(level) * margin if level else float("nan")
    return margin


def _curves(
    study: Study, rows: Sequence[Mapping[str, Any]], unit: Literal["prompts", "answers"]
) -> Mapping[int, Along]:
    """Return each cell's mean curves with their intervals over the same units as everything else.

    A step is kept while at least half of the answers reach it.
    """
    gathered: dict[tuple[int, str], list[tuple[int, Sequence[float]]]] = {}
    for row in rows:
        place = row["p"] if unit == "prompts" else row["p"] * study.seeds + row["s"]
        for name, curve in row.get("along", {}).items():
            gathered.setdefault((row["c"], name), []).append((place, curve))
    if not gathered:
        return {}
    many = len(study.prompts) * (1 if unit == "prompts" else study.seeds)
    columns = {key: _steps_by_unit(curves, many) for key, curves in gathered.items()}
    intervals = stats.bootstrap_intervals(np.concatenate(list(columns.values()), axis=1))
    by_cell: dict[int, dict[str, tuple[Step, ...]]] = {}
    at = 0
    for (cell, name), values in columns.items():
        steps = range(at, at + values.shape[1])
        by_cell.setdefault(cell, {})[name] = tuple(_step(name, intervals, column) for column in steps)
        at += values.shape[1]
    return by_cell


def _steps_by_unit(curves: Sequence[tuple[int, Sequence[float]]], units: int) -> Array:
    """Return a curve's steps as units × steps, each unit's answers averaged; nan where none reaches it."""
    padded = np.full((len(curves), max(len(curve) for _, curve in curves)), np.nan)
    for row, (_, curve) in enumerate(curves):
        padded[row, : len(curve)] = curve
    there = ~np.isnan(padded)
    common = there.sum(axis=0) * 2 >= len(curves)
    padded, there = padded[:, common], there[:, common]
    total, count = np.zeros((units, padded.shape[1])), np.zeros((units, padded.shape[1]))
    places = np.array([place for place, _ in curves], dtype=np.int64)
    np.add.at(total, places, np.where(there, padded, 0.0))
    np.add.at(count, places, there)
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out


def _step(name: str, intervals: stats.Intervals, column: int) -> Step:
    """A share cannot leave its range, and nothing along an answer is below 0."""
    mean = round(float(intervals.mean[column]), 4)
    low, high = float(intervals.low[column]), float(intervals.high[column])
    if intervals.n[column] < MIN_UNITS or np.isnan(low) or np.isnan(high):
        return Step(mean)
    most = 1.0 if name == "rep_4" else np.inf
    return Step(mean, round(max(0.0, low), 4), round(min(most, high), 4))


def _mean(values: Array) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _bound(name: str, value: float, units: int, least: float) -> float | None:
    """A share, or a difference of shares, cannot leave its range."""
    if units < MIN_UNITS or np.isnan(value):
        return None
    return float(np.clip(value, least, 1.0)) if MEASURES[name].unit == "share" else float(value)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
