"""Strengths from judgements: Bradley–Terry for pairs, its extension to the best of several, and ties.

    u_i = θ_i + γ·x        x from +½ in the first place to −½ in the last
    P(i chosen among S) = exp(u_i) / Σ_{j in S} exp(u_j)

For two this is Bradley and Terry (1952); for more it is Luce's choice rule (1959), so that "the best
of four" counts as one observation and not as three. A tie of m counts as 1/m of a win of each ("half
a win"). Priors: θ ~ N(0, 1.5²), γ ~ N(0, 1): weak, they keep few votes from claiming much. The
posterior is found by Newton's method, and 4000 draws from a multivariate t around it are weighed by
importance and drawn again, so intervals need no symmetry. Pure functions; numpy.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STRENGTH_SD = 1.5
POSITION_SD = 1.0
DRAWS = 4000
POWER = 0.8
PROPOSAL_DF = 6.0
NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class BlindJudgement:
    """One judgement. shown: contestants in the order of their places. best: the chosen *places*."""

    shown: tuple[int, ...]
    best: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws from the posterior. strengths: draws × contestants, each draw's mean is 0. position: γ."""

    strengths: Array
    position: Array

    def difference(self, first: int, second: int) -> Array:
        """Return draws of θ_first − θ_second."""
        return np.asarray(self.strengths[:, first] - self.strengths[:, second])


@dataclass(frozen=True, slots=True)
class _ChoiceBlock:
    """Choices among equally many. places: judgements × places × parameters. won: judgements × places."""

    places: Array
    won: Array


def estimate(judgements: Sequence[BlindJudgement], contestants: int, *, seed: int = 0) -> Posterior:
    """Return the posterior of strengths and position effect. Raises ValueError for odd judgements."""
    blocks = _blocks(judgements, contestants)
    precision = np.append(np.full(contestants, STRENGTH_SD**-2), POSITION_SD**-2)
    mode, covariance = _mode(blocks, precision)
    drawn = _draw(blocks, precision, mode, covariance, seed)
    strengths = drawn[:, :contestants]
    return Posterior(strengths - strengths.mean(axis=1, keepdims=True), drawn[:, contestants])


def votes_needed(effect: float, sd: float, votes: int, *, level: float = 0.95) -> float:
    """Return how many more votes like the present ones until a difference may be claimed.

    effect, sd: of the difference now. The information of a vote is taken to stay as it was; an
    interval of 95 % leaves out 0 with a power of 80 % when effect/sd reaches 1.96 + 0.84. inf without
    an effect or without votes.
    """
    prior = 1 / (2 * STRENGTH_SD**2)
    have = max(sd**-2 - prior, 0.0)
    if effect <= 0 or votes <= 0 or have <= 0:
        return float("inf")
    reach = NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(POWER)
    need = (reach / effect) ** 2 - prior
    return max(0.0, (need - have) / (have / votes))


def _blocks(judgements: Sequence[BlindJudgement], contestants: int) -> list[_ChoiceBlock]:
    by_size: dict[int, list[BlindJudgement]] = defaultdict(list)
    for judgement in judgements:
        size = len(judgement.shown)
        if size < 2 or not judgement.best or not all(0 <= place < size for place in judgement.best):
            raise ValueError("a judgement has two or more places and at least one of them is best")
        by_size[size].append(judgement)
    blocks = []
    for size, group in by_size.items():
        places = np.zeros((len(group), size, contestants + 1))
        won = np.zeros((len(group), size))
        for row, judgement in enumerate(group):
            for place, contestant in enumerate(judgement.shown):
                places[row, place, contestant] = 1.0
                places[row, place, contestants] = 0.5 - place / (size - 1)
            won[row, list(judgement.best)] = 1 / len(judgement.best)
        blocks.append(_ChoiceBlock(places, won))
    return blocks


def _mode(blocks: Sequence[_ChoiceBlock], precision: Array) -> tuple[Array, Array]:
    """Newton's method on a log-concave posterior; the step is halved while it does not climb."""
    at = np.zeros(len(precision))
    height = _log_posterior(blocks, precision, at[None])[0]
    for _ in range(NEWTON_STEPS):
        slope = -precision * at
        curve = np.diag(precision)
        for block in blocks:
            p = _softmax(block.places @ at)
            slope += np.einsum("vsk,vs->k", block.places, block.won - p)
            mean = np.einsum("vsk,vs->vk", block.places, p)
            curve += np.einsum("vsk,vs,vsl->kl", block.places, p, block.places) - mean.T @ mean
        step = np.linalg.solve(curve, slope)
        while np.abs(step).max() > 1e-9:
            there = _log_posterior(blocks, precision, (at + step)[None])[0]
            if there >= height:
                at, height = at + step, there
                break
            step = step / 2
        else:
            break
    return at, np.asarray(np.linalg.inv(curve), dtype=np.float64)


def _draw(
    blocks: Sequence[_ChoiceBlock], precision: Array, mode: Array, covariance: Array, seed: int
) -> Array:
    rng = np.random.default_rng(seed)
    size = len(mode)
    normal = rng.standard_normal((DRAWS, size)) @ np.linalg.cholesky(covariance).T
    scale = np.sqrt(PROPOSAL_DF / rng.chisquare(PROPOSAL_DF, DRAWS))
    drawn = mode + normal * scale[:, None]
    away = np.einsum("dk,kl,dl->d", drawn - mode, np.linalg.inv(covariance), drawn - mode)
    proposal = -(PROPOSAL_DF + size) / 2 * np.log1p(away / PROPOSAL_DF)
    weight = _log_posterior(blocks, precision, drawn) - proposal
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    # systematic resampling: one random start, even steps
    marks = (rng.random() + np.arange(DRAWS)) / DRAWS
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), marks), DRAWS - 1)
    return np.asarray(drawn[chosen])


def _log_posterior(blocks: Sequence[_ChoiceBlock], precision: Array, at: Array) -> Array:
    """`at`: draws × parameters."""
    total = -0.5 * (at**2) @ precision
    for block in blocks:
        flat = block.places.reshape(-1, block.places.shape[-1])
        step = max(1, 4_000_000 // len(flat))
        for start in range(0, len(at), step):
            u = (at[start : start + step] @ flat.T).reshape(-1, *block.won.shape)
            top = u.max(axis=2, keepdims=True)
            rest = top[..., 0] + np.log(np.exp(u - top).sum(axis=2))
            total[start : start + step] += np.einsum("dvs,vs->d", u, block.won) - rest.sum(axis=1)
    return np.asarray(total)


def _softmax(u: Any) -> Array:
    weights = np.exp(u - u.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
