"""The figures of one answer, for the columns to be laid beside each other.

The measures themselves are in core/metrics.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twokeys.core import metrics
from twokeys.types import Message, TokenProb


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be counted of an answer; None where it is not known or has no meaning.

    chars: without white space. words: a CJK character counts as one. distinct_1, distinct_2: unique
    n-grams / all (higher is more varied). rep_4: 1 − unique 4-grams / all (lower is less
    repetitive). mean_entropy: nats, a lower bound from the candidates kept. mean_prob: mean
    probability of the tokens that were chosen, before sampling.
    """

    chars: int
    words: int
    tokens: int | None
    tok_per_s: float | None
    ttft_s: float | None
    finish_reason: str | None
    distinct_1: float | None
    distinct_2: float | None
    rep_4: float | None
    mean_entropy: float | None
    mean_prob: float | None


def measure_answer(answer: Message, probs: Sequence[TokenProb] = ()) -> Figures:
    """Return the figures of an answer as stored."""
    tokens = metrics.text_tokens(answer.content)
    known = answer.provenance
    count = len(answer.token_ids) or known.completion_tokens
    chosen = [math.exp(prob.logprob) for prob in probs]
    return Figures(
        chars=metrics.length_of(answer.content, "chars"),
        words=metrics.length_of(answer.content, "words"),
        tokens=count,
        tok_per_s=known.timings.tok_per_s,
        ttft_s=known.timings.ttft_s,
        finish_reason=answer.finish_reason,
        distinct_1=_known(metrics.distinct(tokens, 1)),
        distinct_2=_known(metrics.distinct(tokens, 2)),
        rep_4=_known(metrics.repetition(tokens, 4)),
        mean_entropy=_known(metrics.mean_entropy(probs)),
        mean_prob=math.fsum(chosen) / len(chosen) if chosen else None,
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
