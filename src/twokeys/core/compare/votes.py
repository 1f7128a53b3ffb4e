"""Votes on comparisons and what they add up to, per kind of task.

A vote says which column was best among those shown, or which were equally good, and where each one
stood. Parameters are what compete: two columns with the same parameters (but for seed and length
limit) are the same contestant. The estimate is in preference.py.
"""

from dataclasses import dataclass

from twokeys.types import Sampling


@dataclass(frozen=True, slots=True)
class Contestant:
    """One set of parameters and how it fares.

    strength: log-strength beside the average contestant, with a 95 % credible interval. win: the
    chance to be preferred to an average contestant, 0…1. best: the probability that it is the best
    of all. votes: how often it was shown. wins: how often it was chosen, a tie counts in part.
    """

    key: str
    name: str
    sampling: Sampling
    preset: str | None
    votes: int
    wins: float
    strength: float
    low: float
    high: float
    win: float
    best: float


@dataclass(frozen=True, slots=True)
class Pairing:
    """The first against the second: chance to be preferred, with a 95 % credible interval.

    claimed: the interval leaves out one half, so a difference may be claimed. more_votes: how many
    more votes like the present ones until then with a power of 80 %, 0 when claimed, None when more
    than 1000.
    """

    first: str
    second: str
    chance: float
    low: float
    high: float
    claimed: bool
    more_votes: int | None


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Whether the place matters: odds ratio of the first place against the last, 95 % interval.

    found: the interval leaves out 1. shares: how often each place won, by place, ties in part.
    """

    odds: float
    low: float
    high: float
    found: bool
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the blind votes say. contestants: the strongest first. pairings: the leader against each
    other one. votes: how many there are; ties: how many of them chose nobody alone. models: names of
    the models that wrote the answers. position None: too few votes to say."""

    task_type: str | None
    votes: int
    ties: int
    models: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    pairings: tuple[Pairing, ...]
    position: PositionBias | None
