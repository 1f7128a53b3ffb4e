"""Stretches of high entropy are marked; single hard words are not."""

import math

import pytest

from twokeys.core.guard import Guard
from twokeys.core.guard.uncertainty import entropy
from twokeys.types import Candidate, GuardEvent, TokenProb

from .reading import of_kind


def prob(text: str, *shares: float) -> TokenProb:
    candidates = tuple(Candidate(str(n), n, math.log(share)) for n, share in enumerate(shares))
    return TokenProb(text, 0, math.log(shares[0]), 0, candidates)


def run(plan: list[tuple[int, tuple[float, ...]]]) -> tuple[Guard, list[GuardEvent]]:
    guard = Guard({}, "Who wrote it?")
    events: list[GuardEvent] = []
    count = 0
    for tokens, shares in plan:
        for _ in range(tokens):
            count += 1
            events += guard.on_token("word ", count, 5 * count, (prob("word ", *shares),), count * 0.01)
    return guard, of_kind(events + guard.finish(), "uncertainty")


SURE = (0.97, 0.02)
UNSURE = tuple([0.05] * 18)


def test_entropy_of_known_distributions() -> None:
    assert entropy(prob("a", 0.5, 0.5)) == pytest.approx(math.log(2))
    assert entropy(prob("a", 1.0)) == pytest.approx(0.0)
    rest_as_one = -0.5 * math.log(0.5) * 2
    assert entropy(prob("a", 0.5)) == pytest.approx(rest_as_one)


def test_broken_probabilities_do_not_raise() -> None:
    for logprob in (float("-inf"), float("nan"), 3.0):
        assert math.isfinite(entropy(TokenProb("a", 1, logprob)))


def test_unsure_stretch_is_marked_from_start_to_end() -> None:
    guard, events = run([(60, SURE), (50, UNSURE), (60, SURE)])
    assert [event.level for event in events] == ["note"]
    assert abs(events[0].data["start"] - 300) < 60
    assert abs(events[0].data["end"] - 550) < 100
    assert guard.report()["uncertainty"]["marked"] >= 40


def test_few_hard_words_are_not_marked() -> None:
    _, events = run([(30, SURE), (4, UNSURE)] * 6)
    assert events == []


def test_stretch_open_at_the_end_is_marked_by_finish() -> None:
    _, events = run([(30, SURE), (60, UNSURE)])
    assert len(events) == 1
