"""The measures: what is told of every answer and of every set of answers to one question.

Definitions and sources are in docs/lab.md; the mathematics is in core/metrics.py. Texts are in
texts/lab.toml under `measure.NAME`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    margin: the smallest difference that matters, in the measure's own unit (relative: as a share of
    the baseline's mean); None: no verdict of equivalence is given. spread: a usual standard
    deviation of the difference between two cells on one prompt, for planning before there is data.
    whole: the unit is 0…1 and differences of proportions need care at 0. of_set: belongs to all
    answers of one cell to one prompt. unit: "share", "nats", "s", "tok/s", "bytes", "tokens", "points".
    """

    name: str
    better: Better
    unit: str
    margin: float | None
    spread: float
    relative: bool = False
    binary: bool = False
    of_set: bool = False


_LIST = (
    Measure("tokens", "neither", "tokens", 0.1, 0.35, relative=True),
    Measure("truncated", "lower", "share", 0.1, 0.4, binary=True),
    Measure("ttft_s", "lower", "s", 0.2, 0.3, relative=True),
    Measure("total_s", "lower", "s", 0.1, 0.35, relative=True),
    Measure("tok_per_s", "higher", "tok/s", 0.05, 0.1, relative=True),
    Measure("memory_bytes", "lower", "bytes", 0.02, 0.01, relative=True),
    Measure("distinct_1", "higher", "share", 0.03, 0.07),
    Measure("distinct_2", "higher", "share", 0.03, 0.06),
    Measure("distinct_3", "higher", "share", 0.03, 0.06),
    Measure("rep_4", "lower", "share", 0.03, 0.08),
    Measure("rep_tail", "lower", "share", 0.05, 0.15),
    Measure("entropy", "neither", "nats", 0.1, 0.25),
    Measure("surprise", "lower", "nats", 0.1, 0.25),
    Measure("drift", "lower", "share", 0.05, 0.2, binary=True),
    Measure("correct", "higher", "share", 0.1, 0.35, binary=True),
    Measure("length_score", "higher", "points", 10.0, 25.0),
    Measure("guard_events", "lower", "count", 0.2, 0.6),
    Measure("looped", "lower", "share", 0.1, 0.3, binary=True),
    Measure("complete", "higher", "share", 0.1, 0.4, binary=True),
    Measure("stalls", "lower", "count", 0.1, 0.2),
    Measure("self_bleu", "lower", "points", 5.0, 12.0, of_set=True),
    Measure("similarity", "lower", "share", 0.05, 0.1, of_set=True),
)
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _LIST}
FEW_PROMPTS = 8
"""With fewer prompts the single answers are the units of comparison."""
MIN_UNITS = 5
"""Fewer units than this get no interval and no verdict."""
ANSWER_MEASURES: tuple[str, ...] = tuple(m.name for m in _LIST if not m.of_set)
SET_MEASURES: tuple[str, ...] = tuple(m.name for m in _LIST if m.of_set)
