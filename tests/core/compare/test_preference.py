"""The estimate of strengths on simulated judges, whose taste is known."""

import math

import numpy as np
import pytest

from twokeys.core.compare.preference import BlindJudgement, estimate, votes_needed

Taste = list[float]


def judge(
    taste: Taste, votes: int, size: int, *, position: float = 0.0, ties: float = 0.0, seed: int
) -> list[BlindJudgement]:
    """Choices of somebody with this taste, who likes the first place by `position`."""
    rng = np.random.default_rng(seed)
    judgements = []
    for _ in range(votes):
        shown = rng.permutation(len(taste))[:size]
        u = np.array([taste[c] + position * (0.5 - place / (size - 1)) for place, c in enumerate(shown)])
        p = np.exp(u) / np.exp(u).sum()
        count = 2 if rng.random() < ties else 1
        best = rng.choice(size, count, replace=False, p=p)
        judgements.append(BlindJudgement(tuple(map(int, shown)), tuple(map(int, best))))
    return judgements


def test_the_strongest_is_found_with_enough_votes() -> None:
    posterior = estimate(judge([1.0, 0.0, -1.0], 150, 3, seed=1), 3)
    assert list(np.argsort(-posterior.strengths.mean(axis=0))) == [0, 1, 2]
    assert np.quantile(posterior.difference(0, 2), 0.025) > 0


def test_without_votes_nothing_is_known() -> None:
    posterior = estimate([], 2)
    low, high = np.quantile(posterior.difference(0, 1), [0.025, 0.975])
    assert low < -3 and high > 3
    assert abs(posterior.difference(0, 1).mean()) < 0.3


@pytest.mark.parametrize("votes", [12, 60])
def test_the_intervals_hold_the_truth_as_often_as_they_say(votes: int) -> None:
    rng = np.random.default_rng(7)
    held = held_position = 0
    rounds = 120
    for number in range(rounds):
        taste = list(rng.normal(0, 0.8, 3))
        position = float(rng.normal(0, 0.5))
        posterior = estimate(judge(taste, votes, 3, position=position, ties=0.1, seed=number), 3)
        low, high = np.quantile(posterior.difference(0, 1), [0.025, 0.975])
        held += bool(low <= taste[0] - taste[1] <= high)
        low, high = np.quantile(posterior.position, [0.025, 0.975])
        held_position += bool(low <= position <= high)
    assert held / rounds >= 0.9
    assert held_position / rounds >= 0.9


def test_liking_the_first_place_is_told_from_liking_the_text() -> None:
    posterior = estimate(judge([0.0, 0.0], 250, 2, position=1.2, seed=3), 2)
    assert np.quantile(posterior.position, 0.025) > 0.4
    low, high = np.quantile(posterior.difference(0, 1), [0.025, 0.975])
    assert low < 0 < high


def test_ties_alone_say_that_both_are_alike() -> None:
    ties = [BlindJudgement((0, 1) if n % 2 else (1, 0), (0, 1)) for n in range(60)]
    posterior = estimate(ties, 2)
    assert abs(posterior.difference(0, 1).mean()) < 0.1


def test_a_choice_among_many_counts_more_than_one_among_two_but_not_as_many() -> None:
    pairs = estimate([BlindJudgement((0, 1), (0,))] * 6, 3).difference(0, 1).mean()
    triples = estimate([BlindJudgement((0, 1, 2), (0,))] * 6, 3).difference(0, 1).mean()
    assert 0.5 * pairs < triples < 1.5 * pairs


def test_two_hundred_votes_among_eight_are_counted() -> None:
    taste = [0.3 * n for n in range(8)]
    posterior = estimate(judge(taste, 200, 8, seed=2), 8)
    assert int(np.argmax(posterior.strengths.mean(axis=0))) in (6, 7)


def test_the_votes_still_needed_suffice_about_as_often_as_promised() -> None:
    taste = [0.6, -0.6]
    first = estimate(judge(taste, 30, 2, seed=11), 2).difference(0, 1)
    more = votes_needed(1.2, float(first.std()), 30)
    claimed = sum(
        bool(
            np.quantile(estimate(judge(taste, 30 + math.ceil(more), 2, seed=s), 2).difference(0, 1), 0.025)
            > 0
        )
        for s in range(60)
    )
    assert 0.6 <= claimed / 60 <= 0.95


def test_no_effect_needs_more_votes_than_there_are() -> None:
    assert votes_needed(0.0, 0.5, 20) == math.inf
    assert votes_needed(0.5, 0.5, 0) == math.inf
    assert votes_needed(2.0, 0.1, 20) == 0.0


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more places"):
        estimate([BlindJudgement((0, 1), ())], 2)
