"""Marks stretches where the model itself was unsure: its entropy stayed high for many tokens.

The entropy is a lower bound from the reported candidates: Σ −p·ln p, with what they leave over
counted as one more candidate. Without probabilities it stays silent. High entropy is no error; it
is where a person should check the facts.
"""

import math
from collections import deque
from collections.abc import Iterator

from twokeys.core.guard.finding import GuardFinding
from twokeys.types import TokenProb

SPAN = 24
"""Tokens over which the entropy is averaged."""

HIGH_NATS = 1.6
LOW_NATS = 1.2
"""A stretch begins and ends at these means. On 31 answers of two small models at temperature 0.7 the
24-token means lie around 0.5 (0.5B) and 1.1 (135M), the highest hundredth of them above 1.5."""

LONGEST = 160


def entropy(prob: TokenProb) -> float:
    """Return a lower bound of the entropy of one token's distribution, in nats."""
    seen = {candidate.token_id: candidate.logprob for candidate in prob.alternatives}
    seen.setdefault(prob.token_id, prob.logprob)
    total, left = 0.0, 1.0
    for logprob in seen.values():
        if logprob > 0.0 or logprob != logprob:
            continue
        p = math.exp(logprob)
        total -= p * max(logprob, -1e9) if p else 0.0
        left -= p
    return total - left * math.log(left) if left > 1e-9 else total


class Uncertainty:
    """Feed it the entropies of the tokens and where their text stands."""

    __slots__ = ("_begun", "_high", "_last_end", "_recent", "_starts", "_sum", "_total", "count", "marked")

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=SPAN)
        self._starts: deque[int] = deque(maxlen=SPAN)
        self._sum = 0.0
        self._total = 0.0
        self._begun: int | None = None
        self._high: list[float] = []
        self._last_end = 0
        self.count = 0
        self.marked = 0

    @property
    def mean(self) -> float:
        """Return the mean entropy of the answer so far, in nats."""
        return self._total / self.count if self.count else 0.0

    def token(self, nats: float, start: int, end: int) -> Iterator[GuardFinding]:
        """Read one token: its entropy and the text answer[start:end] it wrote."""
        if len(self._recent) == SPAN:
            self._sum -= self._recent[0]
        self._recent.append(nats)
        self._starts.append(start)
        self._sum += nats
        self._total += nats
        self.count += 1
        if len(self._recent) < SPAN:
            return
        mean = self._sum / SPAN
        if self._begun is None:
            if mean >= HIGH_NATS:
                self._begun = self._starts[0]
                self._high = list(self._recent)
        else:
            self._high.append(nats)
            if mean < LOW_NATS or len(self._high) >= LONGEST:
                yield from self._close(start)
        self._last_end = end

    def finish(self) -> Iterator[GuardFinding]:
        """Close an open stretch: the answer is over."""
        if self._begun is not None:
            yield from self._close(self._last_end)

    def _close(self, end: int) -> Iterator[GuardFinding]:
        if self._begun is not None and end > self._begun:
            self.marked += len(self._high)
            mean = sum(self._high) / len(self._high)
            data = {"start": self._begun, "end": end, "mean_nats": round(mean, 2), "tokens": len(self._high)}
            yield GuardFinding("uncertainty", "note", end, data)
        self._begun, self._high = None, []
        self._recent.clear()
        self._starts.clear()
        self._sum = 0.0
