"""What the next token would be drawn from at other parameters, as far as a few candidates tell.

An engine names only the likeliest candidates. What lies outside them is a known mass over unknown
tokens, each at most as likely as the last candidate; so whatever depends on it comes as a lower and an
upper bound. The browser computes the same (frontend/src/outlook.ts) while a slider moves; a test holds
both equal. Penalties, DRY, XTC and typical_p are not part of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from twokeys.types import SamplerOrder

Cut = Literal["top_k", "top_p", "min_p"]

CHAINS: dict[SamplerOrder, tuple[Cut | Literal["temperature"], ...]] = {
    "llama.cpp": ("top_k", "top_p", "min_p", "temperature"),
    "transformers": ("temperature", "top_k", "top_p", "min_p"),
}
NEGLIGIBLE = 1e-9
"""A smaller mass outside the candidates may be rounding and counts as none."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The candidates and the rest, after the chain.

    low, high: bounds of each candidate's probability, 0 where cut. cut: what cut it, None when kept.
    rest_low, rest_high: bounds of the mass outside the candidates. rest_cut: what cut all of it.
    sure False: which candidates top_p cuts depends on the mass outside, and the likelier way is shown.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    cut: tuple[Cut | None, ...]
    rest_low: float
    rest_high: float
    rest_cut: Cut | None
    sure: bool


def outlook(
    probs: Sequence[float],
    *,
    temperature: float,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    order: SamplerOrder = "llama.cpp",
    vocabulary: int,
) -> Outlook:
    """Return what the chain makes of the candidates and of the mass outside them.

    probs: the likeliest candidates' probabilities before sampling, in any order. vocabulary: how many
    tokens there are; a larger number gives wider bounds that still hold. Raises ValueError when no
    probability is positive or the temperature is negative.

    Spread evenly over n tokens a mass r weighs n·(r/n)^(1/T) at temperature T; gathered in as few
    tokens as possible, each at most q, it weighs ⌊r/q⌋·q^(1/T) + rest^(1/T). As x^(1/T) is convex below
    T = 1 and concave above, one is the most and the other the least it can be.
    """
    if temperature < 0 or not any(p > 0 for p in probs):
        raise ValueError("temperature ≥ 0 and at least one positive probability are needed")
    draw = _Draw(probs, vocabulary)
    steps: dict[str, Callable[[], None]] = {
        "temperature": lambda: draw.heat(temperature),
        "top_k": lambda: draw.top_k(top_k),
        "top_p": lambda: draw.top_p(top_p),
        "min_p": lambda: draw.min_p(min_p),
    }
    for name in CHAINS[order]:
        steps[name]()
    return draw.outlook()


class _Draw:
    """Weights of the candidates, and what is known of the rest: its mass, its number, its largest."""

    def __init__(self, probs: Sequence[float], vocabulary: int) -> None:
        self.weights = list(probs)
        self.cut: list[Cut | None] = [None] * len(probs)
        outside = max(0.0, 1.0 - math.fsum(probs))
        self.low = self.high = outside if outside >= NEGLIGIBLE else 0.0
        self.others = max(1, vocabulary - len(probs))
        self.largest = min(probs)
        self.rest_cut: Cut | None = None
        self.sure = True

    def heat(self, temperature: float) -> None:
        top = max(self.weights)
        if temperature == 0:
            best = self.weights.index(top)
            self.weights = [1.0 if index == best else 0.0 for index in range(len(self.weights))]
            self.low = self.high = self.largest = 0.0
            return
        # by the likeliest, so that a tiny temperature does not underflow
        least = self._extremes(self.low / top, self.largest / top, temperature)
        most = self._extremes(self.high / top, self.largest / top, temperature)
        self.low, self.high = min(least), max(most)
        self.weights = [_power(weight / top, temperature) for weight in self.weights]
        self.largest = _power(self.largest / top, temperature)

    def top_k(self, k: int) -> None:
        ranked = self._ranked()
        if k <= 0:
            return
        for index in ranked[k:]:
            self._drop(index, "top_k")
        more = k - len(ranked)
        if more <= 0:
            self._drop_rest("top_k")
        elif more < self.others:
            self.low *= more / self.others
            self.high = min(self.high, more * self.largest)
            self.others = more

    def top_p(self, p: float) -> None:
        if p >= 1.0:
            return
        inside = math.fsum(self.weights)
        least, most = p * (inside + self.low), p * (inside + self.high)
        limit = (least + most) / 2
        reached = 0.0
        for index in self._ranked():
            weight = self.weights[index]
            if least <= reached < most:
                self.sure = False
            if reached > 0 and reached >= limit:
                self._drop(index, "top_p")
            reached += weight
        if least <= inside < most and self.high > 0:
            self.sure = False
        if inside >= limit:
            self._drop_rest("top_p")
        else:
            self.low = min(self.high, max(0.0, least - inside))

    def min_p(self, share: float) -> None:
        if share <= 0:
            return
        limit = max(self.weights) * share
        for index, weight in enumerate(self.weights):
            if 0 < weight < limit:
                self._drop(index, "min_p")
        if self.largest < limit:
            self._drop_rest("min_p")
        else:
            self.low = 0.0

    def outlook(self) -> Outlook:
        inside = math.fsum(self.weights)
        return Outlook(
            low=tuple(weight / (inside + self.high) for weight in self.weights),
            high=tuple(weight / (inside + self.low) for weight in self.weights),
            cut=tuple(self.cut),
            rest_low=self.low / (inside + self.low),
            rest_high=self.high / (inside + self.high),
            rest_cut=self.rest_cut,
            sure=self.sure,
        )

    def _extremes(self, mass: float, largest: float, temperature: float) -> tuple[float, float]:
        spread = self.others * _power(mass / self.others, temperature)
        count = min(self.others, math.floor(mass / largest)) if largest > 0 else 0
        left = max(0.0, mass - count * largest)
        return spread, count * _power(largest, temperature) + _power(left, temperature)

    def _ranked(self) -> list[int]:
        present = [index for index, weight in enumerate(self.weights) if weight > 0]
        return sorted(present, key=lambda index: -self.weights[index])

    def _drop(self, index: int, by: Cut) -> None:
        self.weights[index] = 0.0
        self.cut[index] = by

    def _drop_rest(self, by: Cut) -> None:
        if self.high > 0:
            self.rest_cut = by
        self.low = self.high = 0.0


def _power(p: float, temperature: float) -> float:
    """p^(1/T)."""
    return math.exp(math.log(p) / temperature) if p > 0 else 0.0
