"""An answer as it came, the curves along it, and the beginning of one that a smaller length would have cut.

Pure functions; the mathematics is in core/metrics.py. What is measured of it is in measure.py.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twokeys.core import metrics
from twokeys.core.guard.uncertainty import entropy
from twokeys.core.study.recorder import TokenTime
from twokeys.types import GuardEvent, TokenProb

WINDOW = 128
"""Tokens per step of the curves along an answer."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as it came. Times in seconds; ttft_s from the request to the first token.

    drafted, accepted: tokens that were drafted, and those of them that the model kept; 0 without drafts.
    """

    text: str
    tokens: int
    finish_reason: str
    ttft_s: float | None
    total_s: float | None
    tok_per_s: float | None
    memory_bytes: int
    probs: tuple[TokenProb, ...] = ()
    token_times: tuple[TokenTime, ...] = ()
    events: tuple[GuardEvent, ...] = ()
    drafted: int = 0
    accepted: int = 0


def curves(completion: Completion) -> dict[str, list[float]]:
    """Return how repetition, NLL, entropy and speed go along the answer, a value per WINDOW tokens."""
    tokens = metrics.text_tokens(completion.text)
    by_name = {
        "rep_4": metrics.repetition_along(tokens, 4, WINDOW),
        "mean_nll": metrics.windowed([-prob.logprob for prob in completion.probs], WINDOW),
        "entropy": metrics.windowed([entropy(prob) for prob in completion.probs], WINDOW),
        "tok_per_s": speed_along(completion.token_times, WINDOW),
        "elapsed_s": elapsed_along(completion.token_times, WINDOW),
    }
    return {name: [round(value, 4) for value in curve] for name, curve in by_name.items() if len(curve) > 1}


def elapsed_along(token_times: Sequence[TokenTime], window: int) -> list[float]:
    """Return the seconds from the first token to the end of each full window."""
    ends: list[float] = []
    for time in token_times:
        while time.tokens >= (len(ends) + 1) * window:
            ends.append(time.at_s - token_times[0].at_s)
    return ends


def speed_along(token_times: Sequence[TokenTime], window: int) -> list[float]:
    """Return tokens per second within each full window of tokens."""
    times = [0.0, *elapsed_along(token_times, window)]
    return [window / (after - before) for before, after in itertools.pairwise(times) if after > before]


def beginning(completion: Completion, max_tokens: int) -> Completion:
    """Return what the answer would have been with a smaller length: its first `max_tokens` tokens.

    Exact for the text: the same seed draws the same tokens until the length ends it. Times are those
    at which these tokens came; the speed is that of the whole. Events that came later are left out.
    """
    if completion.tokens <= max_tokens:
        return completion
    before = [time for time in completion.token_times if time.tokens <= max_tokens]
    chars = before[-1].chars if before else 0
    last_s = before[-1].at_s - completion.token_times[0].at_s if before else 0.0
    return replace(
        completion,
        text=completion.text[:chars],
        tokens=max_tokens,
        finish_reason="length",
        total_s=None if completion.ttft_s is None else completion.ttft_s + last_s,
        probs=completion.probs[:max_tokens],
        token_times=tuple(before),
        events=tuple(event for event in completion.events if event.at_token <= max_tokens),
        drafted=0,
        accepted=0,
    )


def joined(parts: Sequence[Completion]) -> Completion:
    """Return the answer that was written in several parts, one asked for after the other."""
    if len(parts) == 1:
        return parts[0]
    speeds = [part.tok_per_s for part in parts if part.tok_per_s]
    return Completion(
        text="\n\n".join(part.text for part in parts),
        tokens=sum(part.tokens for part in parts),
        finish_reason=parts[-1].finish_reason,
        ttft_s=parts[0].ttft_s,
        total_s=sum(part.total_s or 0.0 for part in parts),
        tok_per_s=sum(speeds) / len(speeds) if speeds else None,
        memory_bytes=max(part.memory_bytes for part in parts),
        probs=tuple(prob for part in parts for prob in part.probs),
        events=tuple(event for part in parts for event in part.events),
        drafted=sum(part.drafted for part in parts),
        accepted=sum(part.accepted for part in parts),
    )
