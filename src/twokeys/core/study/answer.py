"""From a written answer to its measures: one number for each of measure.ANSWER_MEASURES.

Also cuts the beginning of an answer out of a longer one, when a cell with a smaller length shares
it. Pure functions; the mathematics is in core/metrics.py.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twokeys.core import metrics
from twokeys.core.guard.uncertainty import entropy
from twokeys.core.study.checker import check
from twokeys.core.study.measure import ANSWER_MEASURES
from twokeys.core.study.prompt import Prompt
from twokeys.core.study.recorder import Mark
from twokeys.types import GuardEvent, TokenProb

WINDOW = 128
"""Tokens per step of the curves along an answer."""

STALL_KIND, LOOP_KIND, DRIFT_KIND = "stall", "loop", "drift"


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as it came. Times in seconds; ttft_s from the request to the first token."""

    text: str
    tokens: int
    finish_reason: str
    ttft_s: float | None
    total_s: float | None
    tok_per_s: float | None
    memory_bytes: int
    probs: tuple[TokenProb, ...] = ()
    marks: tuple[Mark, ...] = ()
    events: tuple[GuardEvent, ...] = ()


def measure(prompt: Prompt, written: Written, limit_s: float | None = None) -> dict[str, float]:
    """Return all measures of one answer; nan where one does not apply. limit_s: for "complete"."""
    tokens = metrics.text_tokens(written.text)
    kinds = [event.kind for event in written.events]
    values = {
        "tokens": float(written.tokens),
        "truncated": float(written.finish_reason in ("length", "context")),
        "ttft_s": _number(written.ttft_s),
        "total_s": _number(written.total_s),
        "tok_per_s": _number(written.tok_per_s),
        "memory_bytes": float(written.memory_bytes) if written.memory_bytes else math.nan,
        "distinct_1": metrics.distinct(tokens, 1),
        "distinct_2": metrics.distinct(tokens, 2),
        "distinct_3": metrics.distinct(tokens, 3),
        "rep_4": metrics.repetition(tokens, 4),
        "rep_tail": metrics.tail_repetition(tokens),
        "entropy": metrics.mean_entropy(written.probs),
        "surprise": metrics.mean_surprise(written.probs),
        "drift": float(DRIFT_KIND in kinds),
        "correct": float(check(prompt.checker, written.text)) if prompt.checker else math.nan,
        "length_score": _length_score(prompt, written.text),
        "guard_events": float(len(kinds)),
        "looped": float(any(e.kind == LOOP_KIND and e.level != "note" for e in written.events)),
        "complete": float(
            written.finish_reason in ("stop", "stop_string")
            and (written.total_s or 0.0) <= (limit_s or math.inf)
        ),
        "stalls": float(kinds.count(STALL_KIND)),
    }
    return {name: values[name] for name in ANSWER_MEASURES}


def curves(written: Written) -> dict[str, list[float]]:
    """Return how repetition, surprise, entropy and speed go along the answer, a value per WINDOW tokens."""
    tokens = metrics.text_tokens(written.text)
    found = {
        "rep_4": metrics.repetition_along(tokens, 4, WINDOW),
        "surprise": metrics.windowed([-prob.logprob for prob in written.probs], WINDOW),
        "entropy": metrics.windowed([entropy(prob) for prob in written.probs], WINDOW),
        "tok_per_s": speed_along(written.marks, WINDOW),
        "elapsed_s": elapsed_along(written.marks, WINDOW),
    }
    return {name: [round(value, 4) for value in curve] for name, curve in found.items() if len(curve) > 1}


def elapsed_along(marks: Sequence[Mark], window: int) -> list[float]:
    """Return the seconds from the first token to the end of each full window."""
    ends: list[float] = []
    for mark in marks:
        while mark.tokens >= (len(ends) + 1) * window:
            ends.append(mark.at_s - marks[0].at_s)
    return ends


def speed_along(marks: Sequence[Mark], window: int) -> list[float]:
    """Return tokens per second within each full window of tokens."""
    times = [0.0, *elapsed_along(marks, window)]
    return [window / (after - before) for before, after in itertools.pairwise(times) if after > before]


def beginning(written: Written, max_tokens: int) -> Written:
    """Return what the answer would have been with a smaller length: its first `max_tokens` tokens.

    Exact for the text: the same seed draws the same tokens until the length ends it. Times are those
    at which these tokens came; the speed is that of the whole. Events that came later are left out.
    """
    if written.tokens <= max_tokens:
        return written
    kept = [mark for mark in written.marks if mark.tokens <= max_tokens]
    chars = kept[-1].chars if kept else 0
    last_s = kept[-1].at_s - written.marks[0].at_s if kept else 0.0
    return replace(
        written,
        text=written.text[:chars],
        tokens=max_tokens,
        finish_reason="length",
        total_s=None if written.ttft_s is None else written.ttft_s + last_s,
        probs=written.probs[:max_tokens],
        marks=tuple(kept),
        events=tuple(event for event in written.events if event.at_token <= max_tokens),
    )


def joined(parts: Sequence[Written]) -> Written:
    """Return the answer that was written in several parts, one asked for after the other."""
    if len(parts) == 1:
        return parts[0]
    speeds = [part.tok_per_s for part in parts if part.tok_per_s]
    return Written(
        text="\n\n".join(part.text for part in parts),
        tokens=sum(part.tokens for part in parts),
        finish_reason=parts[-1].finish_reason,
        ttft_s=parts[0].ttft_s,
        total_s=sum(part.total_s or 0.0 for part in parts),
        tok_per_s=sum(speeds) / len(speeds) if speeds else None,
        memory_bytes=max(part.memory_bytes for part in parts),
        probs=tuple(prob for part in parts for prob in part.probs),
        events=tuple(event for part in parts for event in part.events),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _length_score(prompt: Prompt, text: str) -> float:
    if not prompt.length:
        return math.nan
    return metrics.length_score(prompt.length, metrics.length_of(text, prompt.unit))
