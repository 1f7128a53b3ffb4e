"""Statistics of paired comparisons: intervals, tests, equivalence, power. numpy and scipy.

The unit is one number per prompt (the mean over its seeds), or per answer where prompts are few.
All functions take many comparisons at once as columns: an array of shape units × comparisons, nan
where a unit has no value. Sources are named at each function. Knows nothing of studies.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
RESAMPLES = 2000
EXACT_UNITS = 12
"""Up to so many units every sign pattern is tried: 2^12 of them."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """A mean and its bounds for each comparison; nan where there is nothing to tell. n: units."""

    mean: Array
    low: Array
    high: Array
    n: npt.NDArray[np.int64]


def bootstrap_intervals(
    values: Array, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Intervals:
    """Return bias-corrected and accelerated bootstrap intervals of the columns' means.

    BCa (Efron 1987; DiCiccio & Efron 1996): bias from the share of resampled means below the mean,
    acceleration from the jackknife. For few units it is expanded as Hesterberg (2015) advises: the
    deviations by √(n/(n−1)), the quantiles from Student's t. Fewer than 3 units give nan bounds;
    equal values a point.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    values = np.asarray(values, dtype=float)
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    count = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / np.where(count > 0, count, np.nan)
    units, columns = values.shape
    low = np.full(columns, np.nan)
    high = np.full(columns, np.nan)
    usable = count >= 3
    if not usable.any():
        return Intervals(mean, low, high, count)
    weights = _redrawn(units, resamples, seed)
    drawn = weights @ there.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ filled) / drawn
        widen = np.sqrt(count / np.maximum(count - 1, 1))
        means = mean + (means - mean) * widen
        below = (np.sum(means < mean, axis=0) + 0.5 * np.sum(means == mean, axis=0)) / resamples
        bias = ndtri(np.clip(below, 1.0 / resamples, 1.0 - 1.0 / resamples))
        left_out = (filled.sum(axis=0) - filled) / (count - 1)
        influence = np.where(there, mean - left_out, 0.0)
        cubes, squares = (influence**3).sum(axis=0), (influence**2).sum(axis=0)
        # the jackknife's skewness; 0 for equal values
        acceleration = np.where(squares > 0, cubes / (6.0 * np.maximum(squares, 1e-300) ** 1.5), 0.0)
    for column in np.flatnonzero(usable):
        ends = []
        for share in ((1 - level) / 2, (1 + level) / 2):
            z = bias[column] + stdtrit(count[column] - 1, share)
            shifted = bias[column] + z / (1.0 - acceleration[column] * z)
            ends.append(float(ndtr(shifted)))
        resampled = means[:, column]
        resampled = resampled[~np.isnan(resampled)]
        low[column], high[column] = np.quantile(resampled, ends)
    return Intervals(mean, low, high, count)


@lru_cache(maxsize=16)
def _redrawn(units: int, resamples: int, seed: int) -> Array:
    """Return how often each unit stands in each resample."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(float)


@lru_cache(maxsize=16)
def _signs(units: int, resamples: int, seed: int) -> Array:
    """Return random signs for each unit in each resample."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, size=(resamples, units)).astype(float) * 2.0 - 1.0


def permutation_p(differences: Array, *, resamples: int = 4000, seed: int = 0) -> Array:
    """Return the two-sided p of the sign-flip test that the columns' mean difference is 0.

    Under "no difference" each unit's difference is as likely with the other sign (Fisher 1935). Up
    to EXACT_UNITS units all patterns are tried, beyond random ones with the +1 of Phipson & Smyth
    (2010), so that p is never too small. nan without units.
    """
    differences = np.asarray(differences, dtype=float)
    there = ~np.isnan(differences)
    filled = np.where(there, differences, 0.0)
    observed = np.abs(filled.sum(axis=0))
    units = differences.shape[0]
    slack = 1e-9 * np.abs(filled).sum(axis=0) + 1e-300
    if units <= EXACT_UNITS:
        patterns = np.arange(2**units)[:, None] >> np.arange(units)
        signs = 1.0 - 2.0 * (patterns & 1)
        reached = np.abs(signs @ filled) >= observed - slack
        p = reached.mean(axis=0)
    else:
        signs = _signs(units, resamples, seed)
        reached = np.abs(signs @ filled) >= observed - slack
        p = (reached.sum(axis=0) + 1.0) / (resamples + 1.0)
    return np.where(there.any(axis=0), p, np.nan)


def holm(p: Array) -> Array:
    """Return p-values corrected for their number (Holm 1979); nan stays nan and does not count."""
    p = np.asarray(p, dtype=float)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return out


def equivalence_p(differences: Array, margin: Array | float, least_spread: Array | float = 0.0) -> Array:
    """Return the p of "the mean difference lies within ±margin": two one-sided t-tests.

    TOST (Schuirmann 1987). least_spread: a standard deviation that is assumed at least; for shares
    √(margin·(1 − margin)), what it would be at the margin's edge, in the spirit of the score tests of
    Nam (1997) and Tango (1998): otherwise a few units that happen to agree would prove too much.
    nan under 3 units or without a margin.
    """
    from scipy.stats import t as student

    differences = np.asarray(differences, dtype=float)
    columns = differences.shape[1]
    margin = np.broadcast_to(np.asarray(margin, dtype=float), (columns,))
    there = ~np.isnan(differences)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = there.sum(axis=0)
        mean = np.where(there, differences, 0.0).sum(axis=0) / n
        variance = np.where(there, (differences - mean) ** 2, 0.0).sum(axis=0) / (n - 1)
        error = np.sqrt(np.maximum(variance, np.square(least_spread)) / n)
        upper = np.where(error > 0, (margin - mean) / error, np.where(np.abs(mean) < margin, np.inf, -np.inf))
        lower = np.where(error > 0, (margin + mean) / error, upper)
        p = np.maximum(student.sf(upper, n - 1), student.sf(lower, n - 1))
    return np.where((there.sum(axis=0) >= 3) & ~np.isnan(margin), p, np.nan)


def wilson_interval(hits: float, total: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % interval of the share hits / total; 0 … 1 when total is 0."""
    if not total:
        return 0.0, 1.0
    z, share = 1.959964, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def power_of(n: float, effect: float, spread: float, *, alpha: float = 0.05) -> float:
    """Return the probability that n units show a mean difference `effect` of standard deviation `spread`.

    Two-sided paired t-test by the non-central t distribution (Cohen 1988); the sign-flip test is as
    powerful to a good approximation, which the tests hold it to.
    """
    from scipy.stats import nct
    from scipy.stats import t as student

    if n < 2 or spread <= 0:
        return float("nan") if spread <= 0 else 0.0
    shift = abs(effect) / spread * np.sqrt(n)
    limit = student.ppf(1 - alpha / 2, n - 1)
    return float(nct.sf(limit, n - 1, shift) + nct.cdf(-limit, n - 1, shift))


def units_needed(effect: float, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many units show a mean difference `effect` with probability `power`.

    Raises ValueError for an effect or a spread that is not positive.
    """
    if effect == 0 or spread <= 0:
        raise ValueError("an effect and a spread are needed")
    return _search(lambda n: power_of(n, effect, spread, alpha=alpha) >= power)


def equivalence_power(n: float, margin: float, spread: float, *, alpha: float = 0.05) -> float:
    """Return the probability that n units prove equivalence within ±margin when there is no difference.

    2·T(margin·√n/spread − t) − 1, T and t of Student's distribution with n − 1 degrees of freedom
    (Julious 2004's approximation).
    """
    from scipy.stats import t as student

    if n < 2:
        return 0.0
    limit = student.ppf(1 - alpha, n - 1)
    return max(0.0, float(2 * student.cdf(margin * np.sqrt(n) / spread - limit, n - 1) - 1))


def units_for_equivalence(margin: float, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many units prove "no difference that matters" with probability `power`, if so it is."""
    if margin <= 0 or spread <= 0:
        raise ValueError("a margin and a spread are needed")
    return _search(lambda n: equivalence_power(n, margin, spread, alpha=alpha) >= power)


def smallest_effect(n: int, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest mean difference that n units show with probability `power`; inf under 3 units."""
    if n < 3:
        return float("inf")
    low, high = 0.0, spread
    while power_of(n, high, spread, alpha=alpha) < power:
        low, high = high, high * 2
    for _ in range(40):
        middle = (low + high) / 2
        if power_of(n, middle, spread, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def _search(enough: Any, limit: int = 1_000_000) -> int:
    low, high = 2, 4
    while not enough(high):
        low, high = high, high * 2
        if high > limit:
            return limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
