"""Where the logarithm of the entropy per token turns from concave to convex over temperature.

After TURN (arXiv 2502.05234): below that point hotter answers differ more and stay sensible, beyond it they
fall apart, so it is a temperature to take for the most frequent or the best of several answers. Found
without right answers. A cubic is fitted to ln H over T; its point of inflexion is the turning point, and
the interval comes from drawing the questions again. The entropy is the model's own before sampling, along
texts written at T.
"""

from dataclasses import dataclass

import numpy as np

from twokeys.core.study.spectrum import Array

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class TurningPoint:
    """temperature: None where the curve has no such point within the temperatures tried. share: of the
    resamples that have one; low … high: where they have it."""

    temperature: float | None
    low: float | None
    high: float | None
    share: float


def turning_point(temperatures: Array, entropies: Array, seed: int = 0) -> TurningPoint:
    """Return the turning point. entropies: prompts × temperatures, in nats, all above 0."""
    if len(entropies) < 2 or len(temperatures) < 5:
        return TurningPoint(None, None, None, 0.0)
    rng = np.random.default_rng(seed)
    units = rng.integers(0, len(entropies), (RESAMPLES, len(entropies)))
    at, *drawn = _inflexions(temperatures, np.vstack([entropies.mean(axis=0), entropies[units].mean(axis=1)]))
    there = [value for value in drawn if not np.isnan(value)]
    share = len(there) / RESAMPLES
    if np.isnan(at) or not there:
        return TurningPoint(None, None, None, share)
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return TurningPoint(float(at), float(low), float(high), share)


def _inflexions(temperatures: Array, entropies: Array) -> Array:
    """Return where each row's cubic turns from concave to convex, nan where not within the temperatures."""
    cubic, square, _, _ = np.polyfit(temperatures, np.log(entropies).T, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -square / (3 * cubic)
    inside = (cubic > 0) & (temperatures[0] < at) & (at < temperatures[-1])
    return np.where(inside, at, np.nan)
