"""A next token's whole distribution, small enough to keep, and what the samplers make of it.

The likeliest tokens are kept one by one, the rest in steps of tokens about as likely. All samplers that are
counted here (top-nσ, top_k, top_p, min_p) keep the likeliest tokens up to some rank, so a setting at a
temperature is a rank, and a token's chance follows without drawing. Penalties, DRY, typical_p and XTC do
not work so and are not covered.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twokeys.types import SamplerOrder, Sampling

Array = npt.NDArray[np.float64]
HEAD = 32
"""So many of the likeliest tokens are kept one by one."""
STEP_NATS = 0.25
"""Tokens of a step differ by no more than this in their log-probability."""
GREEDY = 0.0


@dataclass(frozen=True, slots=True)
class Cuts:
    """Which of the likeliest tokens a sampler chain keeps. The temperature is not among them."""

    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    top_n_sigma: float = 0.0
    order: SamplerOrder = "llama.cpp"

    @classmethod
    def of(cls, sampling: Sampling) -> Self:
        return cls(sampling.top_k, sampling.top_p, sampling.min_p, sampling.top_n_sigma, sampling.order)

    def to_dict(self) -> dict[str, Any]:
        """Return the cuts that are on, by the parameters' names."""
        off = Cuts()
        return {
            name: value for name in Cuts.__slots__ if (value := getattr(self, name)) != getattr(off, name)
        }


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Steps of tokens, the likeliest first.

    logprobs: of each token of a step; counts: tokens in it; sigma: the standard deviation of all tokens'
    logits.
    """

    logprobs: Array
    counts: Array
    sigma: float

    @classmethod
    def of(cls, logprobs: Sequence[float] | Array) -> Self:
        """Build from the log-probabilities of the whole vocabulary, the likeliest first."""
        values = np.asarray(logprobs, dtype=float)
        steps = steps_of(values)
        counts = np.bincount(steps).astype(float)
        # the mean probability, so that the step's mass is that of its tokens
        peak = values[np.searchsorted(steps, np.arange(len(counts)))]
        mass = np.bincount(steps, np.exp(values - peak[steps]))
        return cls(peak + np.log(mass / counts), counts, float(values.std()))

    @property
    def starts(self) -> Array:
        """The rank of each step's first token, from 0."""
        return np.concatenate([[0.0], np.cumsum(self.counts)[:-1]])

    def ranks(self, cuts: Cuts, temperatures: Array) -> Array:
        """Return how many tokens are kept at each temperature: at least one, at temperature 0 just one."""
        hot = np.where(temperatures > GREEDY, temperatures, 1.0)
        rank = np.full(len(hot), self.counts.sum())
        if cuts.top_n_sigma > 0:
            rank = np.minimum(rank, self._above(self.logprobs[0] - cuts.top_n_sigma * self.sigma))
        if cuts.top_k > 0:
            rank = np.minimum(rank, cuts.top_k)
        # llama.cpp cuts before it heats, transformers after
        heat = hot if cuts.order == "transformers" else np.ones_like(hot)
        if cuts.top_p < 1:
            rank = self._nucleus(cuts.top_p, heat, rank)
        if cuts.min_p > 0:
            least = self.logprobs[0] + heat * math.log(cuts.min_p)
            rank = np.minimum(rank, np.array([self._above(bound) for bound in least]))
        return np.where(temperatures > GREEDY, np.maximum(rank, 1.0), 1.0)

    def weights(self, cuts: Cuts, temperatures: Array) -> Array:
        """Return the chance of one token of each step, as temperatures × steps.

        A step that is kept in part gives all its tokens the same share of what is kept.
        """
        hot = np.where(temperatures > GREEDY, temperatures, 1.0)
        share = np.clip((self.ranks(cuts, temperatures)[:, None] - self.starts) / self.counts, 0.0, 1.0)
        weights = np.exp((self.logprobs - self.logprobs[0]) / hot[:, None]) * share
        return np.asarray(weights / (weights * self.counts).sum(axis=1, keepdims=True))

    def _above(self, bound: float) -> float:
        return float(self.counts[self.logprobs >= bound - 1e-9].sum())

    def _nucleus(self, top_p: float, heat: Array, rank: Array) -> Array:
        """The fewest of the tokens kept so far that reach top_p together."""
        share = np.clip((rank[:, None] - self.starts) / self.counts, 0.0, 1.0)
        single = np.exp((self.logprobs - self.logprobs[0]) / heat[:, None])
        masses = single * self.counts * share
        wanted = top_p * masses.sum(axis=1)
        reached = np.cumsum(masses, axis=1)
        step = np.minimum((reached < wanted[:, None] * (1 - 1e-12)).sum(axis=1), len(self.counts) - 1)
        rows = np.arange(len(heat))
        before = reached[rows, step] - masses[rows, step]
        more = np.ceil((wanted - before) / single[rows, step] - 1e-9)
        reached_at: Array = self.starts[step] + np.clip(more, 1.0, self.counts[step])
        return np.asarray(np.minimum(rank, reached_at))

    def to_dict(self) -> dict[str, Any]:
        return {
            "l": [round(float(value), 4) for value in self.logprobs],
            "n": [int(value) for value in self.counts],
            "sigma": round(self.sigma, 4),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(np.array(values["l"], float), np.array(values["n"], float), float(values["sigma"]))


def steps_of(logprobs: Array) -> npt.NDArray[np.int64]:
    """Return each token's step: its own for the head, then steps of STEP_NATS from the head's end down."""
    steps = np.arange(len(logprobs))
    if len(logprobs) > HEAD:
        below = np.floor((logprobs[HEAD] - logprobs[HEAD:]) / STEP_NATS)
        # steps without a token are left out
        steps[HEAD:] = HEAD + np.unique(below, return_inverse=True)[1]
    return steps
