"""The measures: what is measured of every answer and of every set of answers to one question, and how.

A new measure is one row of `_LIST`, and its two texts in texts/lab.toml under `measure.NAME`. Definitions
and sources are in docs/lab.md; the mathematics is in core/metrics.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from twokeys.core import metrics
from twokeys.core.study.answer import Completion
from twokeys.core.study.prompt import StudyPrompt

Better = Literal["higher", "lower", "neither"]
STALL_KIND, LOOP_KIND, DRIFT_KIND = "stall", "loop", "drift"


@dataclass(frozen=True, slots=True)
class MeasuredAnswer:
    """What a measure looks at.

    right: what the prompt's checker says, None without one. valid: whether it has its prompt's form, None
    without one. limit_s: within how many seconds an answer
    counts as complete. words: the tokens of its text that n-grams are made of.
    """

    prompt: StudyPrompt
    completion: Completion
    right: bool | None = None
    valid: bool | None = None
    limit_s: float | None = None
    words: tuple[str, ...] = ()

    def events(self, kind: str) -> int:
        """Return how often the guard reported something of this kind."""
        return sum(event.kind == kind for event in self.completion.events)

    @property
    def truncated(self) -> bool:
        return self.completion.finish_reason in ("length", "context")

    @property
    def complete(self) -> bool:
        """Whether it ended by itself, in time."""
        in_time = (self.completion.total_s or 0.0) <= (self.limit_s or math.inf)
        return self.completion.finish_reason in ("stop", "stop_string") and in_time

    @property
    def looped(self) -> bool:
        return any(event.kind == LOOP_KIND and event.level != "note" for event in self.completion.events)

    @property
    def length_score(self) -> float:
        if not self.prompt.length:
            return math.nan
        got = metrics.length_of(self.completion.text, self.prompt.unit)
        return metrics.length_score(self.prompt.length, got)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    unit: "share", "nats", "s", "tok/s", "bytes", "tokens", "points", "count". margin: the smallest difference
    that matters, in the measure's own unit (relative: as a share of the baseline's mean); None: no verdict of
    equivalence is given. spread: a usual standard deviation of the difference between two cells on one
    prompt, for planning before there is data. of: computes it from an answer, nan where it does not apply.
    of_texts: instead, from all answers of one cell to one prompt.
    """

    name: str
    better: Better
    unit: str
    margin: float | None
    spread: float
    relative: bool = False
    binary: bool = False
    of: Callable[[MeasuredAnswer], float] | None = None
    of_texts: Callable[[Sequence[str]], float] | None = None

    @property
    def floor(self) -> float | None:
        """The smallest value there can be, None without one."""
        return 0.0 if self.unit in ("share", "points", "count") else None

    @property
    def ceiling(self) -> float | None:
        """The largest value there can be, None without one."""
        return {"share": 1.0, "points": 100.0}.get(self.unit)

    @property
    def of_set(self) -> bool:
        """Whether it belongs to all answers of one cell to one prompt."""
        return self.of_texts is not None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _share(completion: Completion) -> float:
    return completion.accepted / completion.drafted if completion.drafted else math.nan


_LIST = (
    Measure("tokens", "neither", "tokens", 0.1, 0.35, relative=True, of=lambda a: a.completion.tokens),
    Measure("truncated", "lower", "share", 0.1, 0.4, binary=True, of=lambda a: a.truncated),
    Measure("ttft_s", "lower", "s", 0.2, 0.3, relative=True, of=lambda a: _number(a.completion.ttft_s)),
    Measure("total_s", "lower", "s", 0.1, 0.35, relative=True, of=lambda a: _number(a.completion.total_s)),
    Measure(
        "tok_per_s", "higher", "tok/s", 0.05, 0.1, relative=True, of=lambda a: _number(a.completion.tok_per_s)
    ),
    Measure(
        "memory_bytes",
        "lower",
        "bytes",
        0.02,
        0.01,
        relative=True,
        of=lambda a: a.completion.memory_bytes or math.nan,
    ),
    Measure("distinct_1", "higher", "share", 0.03, 0.07, of=lambda a: metrics.distinct(a.words, 1)),
    Measure("distinct_2", "higher", "share", 0.03, 0.06, of=lambda a: metrics.distinct(a.words, 2)),
    Measure("distinct_3", "higher", "share", 0.03, 0.06, of=lambda a: metrics.distinct(a.words, 3)),
    Measure("rep_4", "lower", "share", 0.03, 0.08, of=lambda a: metrics.repetition(a.words, 4)),
    Measure("rep_tail", "lower", "share", 0.05, 0.15, of=lambda a: metrics.tail_repetition(a.words)),
    Measure("entropy", "neither", "nats", 0.1, 0.25, of=lambda a: metrics.mean_entropy(a.completion.probs)),
    Measure("mean_nll", "lower", "nats", 0.1, 0.25, of=lambda a: metrics.mean_nll(a.completion.probs)),
    Measure("drift", "lower", "share", 0.05, 0.2, binary=True, of=lambda a: a.events(DRIFT_KIND) > 0),
    Measure("correct", "higher", "share", 0.1, 0.35, binary=True, of=lambda a: _number(a.right)),
    Measure("valid", "higher", "share", 0.1, 0.35, binary=True, of=lambda a: _number(a.valid)),
    Measure("length_score", "higher", "points", 10.0, 25.0, of=lambda a: a.length_score),
    Measure("guard_events", "lower", "count", 0.2, 0.6, of=lambda a: len(a.completion.events)),
    Measure("looped", "lower", "share", 0.1, 0.3, binary=True, of=lambda a: a.looped),
    Measure("complete", "higher", "share", 0.1, 0.4, binary=True, of=lambda a: a.complete),
    Measure("stalls", "lower", "count", 0.1, 0.2, of=lambda a: a.events(STALL_KIND)),
    Measure("new_ngrams", "higher", "count", 10.0, 25.0, of=lambda a: metrics.new_at_end(a.words, 4, 128)),
    Measure("accepted", "higher", "share", 0.1, 0.3, of=lambda a: _share(a.completion)),
    Measure("chance", "higher", "share", 0.05, 0.12, of=lambda _: math.nan),  # exact studies alone
    Measure("self_bleu", "lower", "points", 5.0, 12.0, of_texts=metrics.self_bleu),
    Measure("similarity", "lower", "share", 0.05, 0.1, of_texts=metrics.similarity),
)
FORMER_NAMES = {"surprise": "mean_nll"}
"""Names that measures had in study files and stored rows."""
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _LIST}
FEW_PROMPTS = 8
"""With fewer prompts the single answers are the units of comparison."""
MIN_UNITS = 5
"""Fewer units than this get no interval and no verdict."""
ANSWER_MEASURES: tuple[str, ...] = tuple(m.name for m in _LIST if not m.of_set)
SET_MEASURES: tuple[str, ...] = tuple(m.name for m in _LIST if m.of_set)


def measure_answer(
    prompt: StudyPrompt,
    completion: Completion,
    right: bool | None,
    limit_s: float | None = None,
    *,
    valid: bool | None = None,
) -> dict[str, float]:
    """Return all measures of one answer; nan where one does not apply. See MeasuredAnswer."""
    words = tuple(metrics.text_tokens(completion.text))
    answer = MeasuredAnswer(prompt, completion, right, valid, limit_s, words)
    return {measure.name: float(measure.of(answer)) for measure in _LIST if measure.of is not None}


def measure_set(texts: Sequence[str]) -> dict[str, float]:
    """Return all measures of the answers of one cell to one prompt; nan where one does not apply."""
    return {measure.name: float(measure.of_texts(texts)) for measure in _LIST if measure.of_texts is not None}
