"""Votes on comparisons and what they add up to, per kind of task.

A vote says which column was best among those shown, or which were equally good, and where each one
stood. Parameters are what compete: two columns with the same parameters (but for seed and length
limit) are the same contestant. The estimate is in preference.py.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twokeys.core.compare.preference import Array, BlindJudgement, Posterior, estimate, votes_needed
from twokeys.types import Sampling, Vote

LEVEL = 0.95
MOST_MORE_VOTES = 1000
FEWEST_FOR_POSITION = 5
NO_MATTER = frozenset({"seed", "max_new_tokens", "stop"})
"""Parameters that make no other contestant."""


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
    system_prompt: str
    votes: int
    wins: float
    strength: float
    low: float
    high: float
    win: float
    best: float


@dataclass(frozen=True, slots=True)
class Pairing:
    """The first against the second: chance to be preferred, with its credible interval.

    The interval is as wide as it must be for all pairs of contestants to be right together in 95 %
    (Bonferroni), because the leader was picked by looking. claimed: the interval leaves out one
    half, so a difference may be claimed. more_votes: how many more votes like the present ones
    until then with a power of 80 %, 0 when claimed, None when more than 1000.
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

    significant: the interval leaves out 1. shares: how often each place won, by place, ties in part.
    """

    odds: float
    low: float
    high: float
    significant: bool
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


def vote_data(
    *,
    order: Sequence[int],
    best: Sequence[int],
    blind: bool,
    task_type: str | None,
    model: str | None,
    columns: Mapping[int, Mapping[str, object]],
) -> dict[str, object]:
    """Return what is stored of a vote. columns: {sampling, preset, system_prompt, answer_id} by number."""
    return {
        "order": list(order),
        "best": list(best),
        "blind": blind,
        "task_type": task_type,
        "model": model,
        "columns": {str(number): dict(column) for number, column in columns.items()},
    }


def contestant_key(column: Mapping[str, Any]) -> str:
    """Return what stands for a column's parameters, whatever seed and length limit they had.

    A vote from before a parameter existed is read with that parameter's default.
    """
    sampling = Sampling.from_dict(column["sampling"]).to_dict()
    values = {name: value for name, value in sampling.items() if name not in NO_MATTER}
    values["system_prompt"] = (column.get("system_prompt") or "").strip()
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).hexdigest()


def counted(votes: Sequence[Vote], task_type: str | None = None, model: str | None = None) -> list[Vote]:
    """Return the votes that count: blind, of the task type and model, the last word on each judgement."""
    last = {(vote.document_id, vote.key): vote for vote in votes if vote.data.get("blind")}
    return [
        vote
        for vote in last.values()
        if task_type in (None, vote.data.get("task_type")) and model in (None, vote.data.get("model"))
    ]


def task_types(votes: Sequence[Vote]) -> list[str]:
    """Return the task types of the votes that count, the most voted first."""
    counts = Counter(kind for vote in counted(votes) if (kind := vote.data.get("task_type")))
    return [kind for kind, _ in counts.most_common()]


def standing(votes: Sequence[Vote], task_type: str | None = None, model: str | None = None) -> Standing:
    """Return what the votes say, of one task type and model or of all."""
    counting = counted(votes, task_type, model)
    columns: dict[str, Mapping[str, Any]] = {}
    judgements = []
    for vote in counting:
        shown = [vote.data["columns"][str(number)] for number in vote.data["order"]]
        columns |= {contestant_key(column): column for column in shown}
        numbers = list(columns)
        places = tuple(vote.data["order"].index(number) for number in vote.data["best"])
        judgements.append(
            BlindJudgement(tuple(numbers.index(contestant_key(column)) for column in shown), places)
        )
    models = Counter(str(vote.data.get("model")) for vote in counting)
    ties = sum(1 for judgement in judgements if len(judgement.best) > 1)
    contestants: tuple[Contestant, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    position = None
    if judgements:
        posterior = estimate(judgements, len(columns))
        contestants = _contestants(columns, judgements, posterior)
        pairings = _pairings(list(columns), contestants, judgements, posterior)
        position = _position(judgements, posterior)
    return Standing(
        task_type,
        len(judgements),
        ties,
        tuple(name for name, _ in models.most_common()),
        contestants,
        pairings,
        position,
    )


def _contestants(
    columns: Mapping[str, Mapping[str, Any]], judgements: Sequence[BlindJudgement], posterior: Posterior
) -> tuple[Contestant, ...]:
    shown: Counter[int] = Counter(number for judgement in judgements for number in set(judgement.shown))
    wins: dict[int, float] = defaultdict(float)
    for judgement in judgements:
        for place in judgement.best:
            wins[judgement.shown[place]] += 1 / len(judgement.best)
    names = _names(columns)
    leads = np.argmax(posterior.strengths, axis=1)
    contestants = []
    for number, (key, column) in enumerate(columns.items()):
        strength = posterior.strengths[:, number]
        low, high = np.quantile(strength, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        contestants.append(
            Contestant(
                key=key,
                name=names[key],
                sampling=Sampling.from_dict(column["sampling"]),
                preset=column.get("preset"),
                system_prompt=column.get("system_prompt") or "",
                votes=shown[number],
                wins=wins[number],
                strength=float(strength.mean()),
                low=float(low),
                high=float(high),
                win=float(_chance(strength).mean()),
                best=float(np.mean(leads == number)),
            )
        )
    return tuple(sorted(contestants, key=lambda contestant: -contestant.strength))


def _pairings(
    keys: Sequence[str],
    contestants: Sequence[Contestant],
    judgements: Sequence[BlindJudgement],
    posterior: Posterior,
) -> tuple[Pairing, ...]:
    leader, *others = contestants
    pairs = len(contestants) * (len(contestants) - 1) // 2
    level = 1 - (1 - LEVEL) / max(1, pairs)
    made = []
    for other in others:
        first, second = keys.index(leader.key), keys.index(other.key)
        difference = posterior.difference(first, second)
        low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
        claimed = bool(low > 0)
        together = sum(
            1 for judgement in judgements if first in judgement.shown and second in judgement.shown
        )
        more = votes_needed(float(difference.mean()), float(difference.std()), together, level=level)
        made.append(
            Pairing(
                first=leader.key,
                second=other.key,
                chance=float(_chance(difference).mean()),
                low=float(_chance(low)),
                high=float(_chance(high)),
                claimed=claimed,
                more_votes=0 if claimed else _whole(more),
            )
        )
    return tuple(made)


def _position(judgements: Sequence[BlindJudgement], posterior: Posterior) -> PositionBias | None:
    if len(judgements) < FEWEST_FOR_POSITION:
        return None
    places = max(len(judgement.shown) for judgement in judgements)
    won = np.zeros(places)
    there = np.zeros(places)
    for judgement in judgements:
        there[: len(judgement.shown)] += 1
        for place in judgement.best:
            won[place] += 1 / len(judgement.best)
    low, middle, high = np.quantile(posterior.position, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return PositionBias(
        odds=float(np.exp(middle)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        significant=bool(low > 0 or high < 0),
        shares=tuple(float(share) for share in won / there),
    )


def _names(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Name contestants by their temperatures, and by what else differs where that is not enough."""
    by_temperature: dict[float, list[str]] = defaultdict(list)
    for key, column in columns.items():
        by_temperature[column["sampling"]["temperature"]].append(key)
    names = {}
    for temperature, keys in by_temperature.items():
        alike = [columns[key]["sampling"] for key in keys]
        differing = [
            name
            for name in alike[0]
            if name not in NO_MATTER and len({str(sampling.get(name)) for sampling in alike}) > 1
        ]
        for number, key in enumerate(keys, 1):
            parts = [f"{name} {columns[key]['sampling'][name]}" for name in differing]
            if len(keys) > 1 and not parts:
                parts = [f"#{number}"]  # only the system prompt differs
            names[key] = " · ".join([f"{temperature:g}", *parts])
    return names


def _chance(difference: object) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.asarray(difference))))


def _whole(more: float) -> int | None:
    return max(1, int(np.ceil(more))) if more <= MOST_MORE_VOTES else None
