"""The mathematics of choosing a token: temperature, top_k, top_p, min_p, in either order (F6).

Works on the probabilities of the likeliest candidates as an engine reports them before sampling; what
lies outside the candidates is kept as a remainder with honest bounds. Penalties and the samplers
that look at the text so far (DRY, XTC) are not computed here. Pure functions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twokeys.types import SamplerOrder, Sampling

StepName = Literal["temperature", "top_k", "typical_p", "top_p", "min_p"]

CHAINS: dict[SamplerOrder, tuple[StepName, ...]] = {
    "llama.cpp": ("top_k", "typical_p", "top_p", "min_p", "temperature"),
    "transformers": ("temperature", "top_k", "top_p", "min_p", "typical_p"),
}
"""The order of the steps that reshape or cut (common/sampling in llama.cpp; generation/utils in
transformers)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the chain: what it is, and the candidates' probabilities after it, 0 where cut.

    left: how many candidates are left. off: the step had no effect by its setting.
    """

    name: StepName
    probs: tuple[float, ...]
    left: int
    off: bool


@dataclass(frozen=True, slots=True)
class Reshaped:
    """Candidates at another temperature, without knowing what lies outside them exactly.

    probs_low / probs_high: bounds of each candidate's probability. remainder_low / remainder_high:
    bounds of the mass outside the candidates. All are equal when nothing lies outside.
    """

    probs_low: tuple[float, ...]
    probs_high: tuple[float, ...]
    remainder_low: float
    remainder_high: float


def at_temperature(probs: Sequence[float], temperature: float) -> tuple[float, ...]:
    """Return p_i^(1/T) / Σ p_j^(1/T): the distribution at temperature T over the candidates alone.

    T = 0 gives all to the likeliest (the first of equals). Raises ValueError for a negative T or
    when no probability is positive.
    """
    top = max(probs, default=0.0)
    if temperature < 0 or top <= 0:
        raise ValueError("temperature ≥ 0 and at least one positive probability are needed")
    if temperature == 0:
        best = list(probs).index(top)
        return tuple(1.0 if index == best else 0.0 for index in range(len(probs)))
    weights = [_power(p / top, temperature) for p in probs]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def reshape(probs: Sequence[float], temperature: float, vocabulary: int) -> Reshaped:
    """Return the candidates at temperature T > 0 with bounds for what lies outside them.

    The mass outside, r = 1 − Σp, belongs to tokens that are each at most as likely as the last
    candidate. Spread evenly over the n others it weighs n·(r/n)^(1/T); gathered in as few as
    possible it weighs ⌊r/p⌋·p^(1/T) + rest^(1/T). One is the most, the other the least it can be.
    """
    if temperature <= 0:
        raise ValueError("temperature > 0 is needed")
    smallest = min(probs)
    outside = max(0.0, 1.0 - math.fsum(probs))
    others = max(1, vocabulary - len(probs))
    spread = others * _power(outside / others, temperature)
    count = min(others, math.floor(outside / smallest)) if smallest > 0 else 0
    rest = max(0.0, outside - count * smallest)
    gathered = count * _power(smallest, temperature) + _power(rest, temperature)
    low, high = min(spread, gathered), max(spread, gathered)
    weights = [_power(p, temperature) for p in probs]
    inside = math.fsum(weights)
    return Reshaped(
        probs_low=tuple(weight / (inside + high) for weight in weights),
        probs_high=tuple(weight / (inside + low) for weight in weights),
        remainder_low=low / (inside + low),
        remainder_high=high / (inside + high),
    )


def top_k(probs: Sequence[float], k: int) -> tuple[float, ...]:
    """Keep the k likeliest and renormalise; 0 keeps all."""
    if k <= 0 or k >= len(probs):
        return _normalised(probs)
    keep = set(sorted(range(len(probs)), key=lambda index: -probs[index])[:k])
    return _only(probs, keep)


def top_p(probs: Sequence[float], p: float) -> tuple[float, ...]:
    """Keep the fewest likeliest whose probabilities reach p together, at least one; renormalise."""
    if p >= 1.0:
        return _normalised(probs)
    normal = _normalised(probs)
    keep: set[int] = set()
    reached = 0.0
    for index in sorted(range(len(normal)), key=lambda index: -normal[index]):
        keep.add(index)
        reached += normal[index]
        if reached >= p:
            break
    return _only(normal, keep)


def min_p(probs: Sequence[float], share: float) -> tuple[float, ...]:
    """Keep those at least `share` times as likely as the likeliest; 0 keeps all."""
    limit = max(probs, default=0.0) * share
    return _only(probs, {index for index, p in enumerate(probs) if p > 0 and p >= limit})


def typical_p(probs: Sequence[float], p: float) -> tuple[float, ...]:
    """Keep those whose surprise is nearest to the entropy until they reach p together.

    Locally typical sampling, arXiv 2202.00666. 1 keeps all.
    """
    if p >= 1.0:
        return _normalised(probs)
    normal = _normalised(probs)
    entropy = -math.fsum(q * math.log(q) for q in normal if q > 0)
    present = [index for index, q in enumerate(normal) if q > 0]
    keep: set[int] = set()
    reached = 0.0
    for index in sorted(present, key=lambda index: abs(-math.log(normal[index]) - entropy)):
        keep.add(index)
        reached += normal[index]
        if reached > p:
            break
    return _only(normal, keep)


def run_chain(probs: Sequence[float], sampling: Sampling) -> tuple[Step, ...]:
    """Return the candidates' probabilities after every step, in the sampling's own order.

    `probs` are the candidates' probabilities before sampling; each step renormalises over what it
    keeps, so the last step gives what the token is drawn from, up to the mass outside `probs`.
    """
    steps: list[Step] = []
    now = tuple(probs)
    for name in CHAINS[sampling.order]:
        now = _apply(name, now, sampling)
        steps.append(Step(name, now, sum(1 for p in now if p > 0), _is_off(name, sampling)))
    return tuple(steps)


def chosen_from(probs: Sequence[float], sampling: Sampling) -> tuple[float, ...]:
    """Return the distribution that the token is drawn from."""
    return run_chain(probs, sampling)[-1].probs


def _apply(name: StepName, probs: tuple[float, ...], sampling: Sampling) -> tuple[float, ...]:
    if name == "temperature":
        return at_temperature(probs, sampling.temperature)
    if name == "top_k":
        return top_k(probs, sampling.top_k)
    if name == "top_p":
        return top_p(probs, sampling.top_p)
    if name == "min_p":
        return min_p(probs, sampling.min_p)
    return typical_p(probs, sampling.typical_p)


def _is_off(name: StepName, sampling: Sampling) -> bool:
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}
    return bool(getattr(sampling, name) == off[name])


def _power(p: float, temperature: float) -> float:
    """p^(1/T) without the overflow of a tiny T."""
    return math.exp(math.log(p) / temperature) if p > 0 else 0.0


def _normalised(probs: Sequence[float]) -> tuple[float, ...]:
    total = math.fsum(probs)
    return tuple(p / total for p in probs) if total > 0 else tuple(probs)


def _only(probs: Sequence[float], keep: set[int]) -> tuple[float, ...]:
    return _normalised([p if index in keep else 0.0 for index, p in enumerate(probs)])
