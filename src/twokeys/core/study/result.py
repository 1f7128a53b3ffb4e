"""What a study says: estimates for each cell, comparisons with the baseline, and their verdicts.

Values only; the numbers come from analysis.py, the words from texts/lab.toml.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from twokeys.core.study.axes import cell_title
from twokeys.core.study.engine_check import EngineCheck
from twokeys.core.study.measure import MEASURES
from twokeys.core.study.study import Study
from twokeys.i18n import translate

Kind = Literal["different", "same", "undecided"]
MUCH_AT_BOUND = 0.5
"""Where more of the units than this cannot differ, that is said beside "no difference"."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval, None where there are too few units for one.

    answers: how many; units: independent ones (prompts, or answers where prompts are few).
    """

    mean: float
    low: float | None
    high: float | None
    answers: int
    units: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a curve along the answers: the mean with its 95 % interval, None with too few units."""

    mean: float
    low: float | None = None
    high: float | None = None


Along = Mapping[str, tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell: what it sets, how many answers it has, and an Estimate for each measure that was taken.
    unjudged: answers whose checker took too long or broke; they count neither as right nor as wrong.

    along: curves along the length of an answer, by name ("rep_4", "tok_per_s", "mean_nll"): one Step
    per window of `StudyResult.window` tokens.
    """

    name: str
    values: Mapping[str, Any]
    answers: int
    failed: int
    estimates: Mapping[str, Estimate]
    unjudged: int = 0
    along: Along = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AtBound:
    """Shares of the units at a bound of the measure, where it can go no further.

    floor, ceiling: of the baseline's values; both: at the same bound in cell and baseline.
    """

    floor: float = 0.0
    ceiling: float = 0.0
    both: float = 0.0


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """One measure of one cell against the baseline, on the same prompts and seeds.

    difference: cell − baseline with its 95 % interval low … high (None with too few units for one);
    low_corrected … high_corrected: the same, wide enough for all comparisons of the study together to hold
    with 95 % (Bonferroni); comparisons: how many. p: of the permutation test;
    p_holm: corrected for all comparisons of the study; p_same: of the equivalence test against
    ±margin. kind: "different" (p_holm < 0.05), "same" (no difference that matters) or "undecided".
    better: whether the cell is the better one, None when neither is or it is not said.
    more_answers: about how many more answers per cell a verdict would need, None when it is there.
    unit: what was resampled: "prompts", or "answers" where there are fewer than 8 prompts.
    at_bound: how much of it cannot show a difference.
    """

    measure: str
    cell: str
    baseline: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_same: float | None
    margin: float | None
    pairs: int
    units: int
    unit: Literal["prompts", "answers"]
    kind: Kind
    better: bool | None
    more_answers: int | None
    low_corrected: float | None = None
    high_corrected: float | None = None
    comparisons: int = 1
    at_bound: AtBound = AtBound()

    def sentence(self, language: str) -> str:
        """Return the verdict in plain words, in "zh" or "en"."""
        values: dict[str, Any] = {
            "measure": translate(f"lab.measure.{self.measure}.title", language),
            "cell": cell_title(self.cell, language),
            "baseline": cell_title(self.baseline, language),
            "difference": shown_difference(self.measure, abs(self.difference), language),
            "low": self._bound(self.low),
            "high": self._bound(self.high, language),
            "low_corrected": self._bound(self.low_corrected),
            "high_corrected": self._bound(self.high_corrected, language),
            "comparisons": self.comparisons,
            "share": f"{self.at_bound.both:.0%}",
            "margin": "" if self.margin is None else shown_difference(self.measure, self.margin, language),
            "pairs": self.pairs,
            "more": self.more_answers or 0,
        }
        return translate(f"lab.verdict.{self._key()}", language, **values)

    def _bound(self, value: float | None, language: str | None = None) -> str:
        if value is None:
            return ""
        return (
            _number(self.measure, value)
            if language is None
            else shown_difference(self.measure, value, language)
        )

    def _key(self) -> str:
        if self.kind == "different":
            return "higher" if self.difference > 0 else "lower"
        if self.kind == "same":
            return "same_at_bound" if self.at_bound.both > MUCH_AT_BOUND else "same"
        if self.low is None:
            return "few"
        if self.high is not None and self.more_answers and (self.low > 0 or self.high < 0):
            return "corrected"
        return "undecided" if self.more_answers else "unsaid"

    def to_dict(self, language: str = "en") -> dict[str, Any]:
        return {**asdict(self), "verdict": self.kind, "text": self.sentence(language)}


@dataclass(frozen=True, slots=True)
class CutOff:
    """How many of a task's answers a length cut off.

    length: max_new_tokens. answers: of all cells with it.
    """

    task: str
    length: int
    cut: int
    answers: int

    @property
    def share(self) -> float:
        return self.cut / self.answers


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The mean chance of being right at a temperature with its 95 % interval over the questions, None with
    too few. doubt: how much of the chance was left open."""

    temperature: float
    mean: float
    low: float | None
    high: float | None
    doubt: float


@dataclass(frozen=True, slots=True)
class ExactCurve:
    """The chance of being right over temperature, counted and not drawn.

    name: the settings apart from temperature. best: where the mean is highest. same_to: up to this
    temperature the difference from temperature 0 stays within ±margin for certain; worse_from: from here
    on it is below for certain. None: there is no such temperature, or there are too few questions.
    """

    name: str
    questions: int
    points: tuple[CurvePoint, ...]
    best: float
    same_to: float | None
    worse_from: float | None
    margin: float

    def at(self, temperature: float) -> CurvePoint:
        """Return the point nearest to a temperature."""
        return min(self.points, key=lambda point: abs(point.temperature - temperature))

    def sentence(self, language: str) -> str:
        """Return what the curve says in plain words."""
        means = {f"at_{int(t * 10)}": f"{self.at(t).mean:.0%}" for t in (0.0, 0.7, 1.0, 1.5)}
        parts = [
            translate(
                "lab.exact.found",
                language,
                name=cell_title(self.name, language),
                questions=self.questions,
                best=f"{self.best:g}",
                best_mean=f"{self.at(self.best).mean:.0%}",
                **means,
            )
        ]
        margin = shown_difference("chance", self.margin, language)
        if self.same_to is not None:
            parts.append(translate("lab.exact.same_to", language, to=f"{self.same_to:g}", margin=margin))
        if self.worse_from is not None:
            parts.append(translate("lab.exact.worse_from", language, at=f"{self.worse_from:g}"))
        return ("" if language == "zh" else " ").join(parts)


@dataclass(frozen=True, slots=True)
class StudyResult:
    """All of a study's results at one moment. complete: every answer is there.

    model, engine: what answered, as the provenance tells. window: tokens per step of `along`.
    cut_offs: by task and length; empty where there is one length only. engines: whether several engines
    wrote alike, None where one wrote. exact: curves of an exact study.
    """

    study_id: str
    study: Study
    model: str
    engine: Mapping[str, Any]
    complete: bool
    answers: int
    cells: tuple[CellResult, ...]
    comparisons: tuple[MeasureComparison, ...]
    window: int = 128
    cut_offs: tuple[CutOff, ...] = ()
    engines: EngineCheck | None = None
    exact: tuple[ExactCurve, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that have an estimate in some cell, in the usual order."""
        return tuple(name for name in MEASURES if any(name in cell.estimates for cell in self.cells))

    def cell(self, name: str) -> CellResult:
        """Return a cell's result. KeyError for an unknown name."""
        return {cell.name: cell for cell in self.cells}[name]

    def notes(self, language: str) -> list[str]:
        """Return sentences on what has to be known beside the figures: answers that could not be judged, and
        engines that differ."""
        of_engines = self.engines.sentences(language) if self.engines else []
        return of_engines + [
            translate(
                "lab.report.unjudged", language, cell=cell_title(cell.name, language), count=cell.unjudged
            )
            for cell in self.cells
            if cell.unjudged
        ]

    def to_dict(self, language: str = "en") -> dict[str, Any]:
        """Return JSON-ready values, as `twokeys study report --json` prints them."""
        return {
            "id": self.study_id,
            "name": self.study.name,
            "title": self.study.title,
            "model": self.model,
            "engine": dict(self.engine),
            "complete": self.complete,
            "answers": self.answers,
            "baseline": self.study.baseline_cell.name,
            "cells": [
                {
                    "name": cell.name,
                    "values": dict(cell.values),
                    "answers": cell.answers,
                    "failed": cell.failed,
                    "unjudged": cell.unjudged,
                    "measures": {name: asdict(estimate) for name, estimate in cell.estimates.items()},
                    "along": {name: [step.mean for step in curve] for name, curve in cell.along.items()},
                    "along_bounds": {
                        name: [[step.low, step.high] for step in curve] for name, curve in cell.along.items()
                    },
                }
                for cell in self.cells
            ],
            "cut_offs": [asdict(cut_off) for cut_off in self.cut_offs],
            **({"exact": [asdict(curve) for curve in self.exact]} if self.exact else {}),
            "verdicts": [comparison.to_dict(language) for comparison in self.comparisons],
            **({"engines": self.engines.to_dict()} if self.engines else {}),
        }


def shown(measure: str, value: float, language: str) -> str:
    """Return a value of a measure as people read it, with its unit."""
    unit = MEASURES[measure].unit
    if unit == "share":
        return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return translate(f"lab.unit.{UNIT_KEYS[unit]}", language, number=_number(measure, value))


def shown_difference(measure: str, value: float, language: str) -> str:
    """Return a difference as people read it: shares differ by percentage points."""
    unit = MEASURES[measure].unit
    if unit == "share":
        return translate("lab.points", language, number=_number(measure, value))
    return shown(measure, value, language)


UNIT_KEYS = {
    "tokens": "tokens", "s": "seconds", "tok/s": "speed", "nats": "nats", "points": "number",
    "count": "number",
}  # fmt: skip
"""The texts of the units that are no share and no bytes."""


def _number(measure: str, value: float) -> str:
    unit = MEASURES[measure].unit
    scaled = value * 100 if unit == "share" else value / 2**20 if unit == "bytes" else value
    if unit == "tokens" and abs(scaled) >= 10:
        return f"{scaled:.0f}".replace("-", "−")
    digits = (
        f"{scaled:.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}" if abs(scaled) >= 1 else f"{scaled:.2g}"
    )
    return digits.replace("-", "−")
