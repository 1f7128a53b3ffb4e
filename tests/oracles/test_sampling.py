"""The mathematics of choosing a token."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import sampling as maths

from twokeys.types import Sampling

weights = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=40)


def normal(values: list[float]) -> list[float]:
    total = sum(values)
    return [value / total for value in values]


@given(weights, st.floats(0.05, 2.0))
def test_a_distribution_at_any_temperature_sums_to_one_and_keeps_its_order(
    values: list[float], temperature: float
) -> None:
    probs = normal(values)
    warmed = maths.at_temperature(probs, temperature)
    assert math.fsum(warmed) == pytest.approx(1.0)
    for i, p in enumerate(probs):
        for j, q in enumerate(probs):
            if p > q:
                assert warmed[i] >= warmed[j]


@given(weights)
def test_temperature_one_changes_nothing(values: list[float]) -> None:
    probs = normal(values)
    assert maths.at_temperature(probs, 1.0) == pytest.approx(probs)


@given(weights)
def test_temperature_zero_takes_the_likeliest(values: list[float]) -> None:
    probs = normal(values)
    chosen = maths.at_temperature(probs, 0.0)
    assert sum(chosen) == 1.0
    assert probs[chosen.index(1.0)] == max(probs)


@given(weights, st.floats(0.05, 1.0), st.floats(1.0, 2.0))
def test_the_likeliest_gains_when_cold_and_loses_when_hot(
    values: list[float], cold: float, hot: float
) -> None:
    probs = normal(values)
    best = max(probs)
    assert max(maths.at_temperature(probs, cold)) >= best - 1e-9
    assert max(maths.at_temperature(probs, hot)) <= best + 1e-9


def test_a_hand_computed_distribution() -> None:
    # squares of 0.8 and 0.2 are 0.64 and 0.04
    assert maths.at_temperature([0.8, 0.2], 0.5) == pytest.approx([0.64 / 0.68, 0.04 / 0.68])


@pytest.mark.parametrize("probs", [[], [0.0, 0.0]])
def test_nothing_to_choose_from_is_an_error(probs: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        maths.at_temperature(probs, 0.7)


@given(weights, st.integers(0, 50))
def test_top_k_keeps_the_k_likeliest(values: list[float], k: int) -> None:
    probs = normal(values)
    top_k = maths.top_k(probs, k)
    count = sum(p > 0 for p in top_k)
    assert count == (min(k, len(probs)) or len(probs))
    cut = [probs[i] for i, p in enumerate(top_k) if p == 0]
    left = [probs[i] for i, p in enumerate(top_k) if p > 0]
    assert not cut or max(cut) <= min(left)


@given(weights, st.floats(0.01, 0.999))
def test_top_p_keeps_the_fewest_that_reach_p(values: list[float], p: float) -> None:
    probs = normal(values)
    top_p = maths.top_p(probs, p)
    left = sorted((probs[i] for i, q in enumerate(top_p) if q > 0), reverse=True)
    assert sum(left) >= p - 1e-9
    assert sum(left[:-1]) < p


@given(weights, st.floats(0.0, 1.0))
def test_min_p_never_cuts_the_likeliest(values: list[float], share: float) -> None:
    probs = normal(values)
    min_p = maths.min_p(probs, share)
    assert min_p[probs.index(max(probs))] > 0
    assert all((p > 0) == (probs[i] >= max(probs) * share) for i, p in enumerate(min_p))


@given(weights, st.floats(0.05, 1.0))
def test_typical_p_keeps_something_and_sums_to_one(values: list[float], p: float) -> None:
    assert math.fsum(maths.typical_p(normal(values), p)) == pytest.approx(1.0)


def test_the_order_decides_what_top_p_cuts_at_high_temperature() -> None:
    probs = [0.6, 0.25, 0.1, 0.05]
    common = {"temperature": 2.0, "top_p": 0.8, "top_k": 0}
    last = maths.run_chain(probs, Sampling(order="llama.cpp", **common))
    first = maths.run_chain(probs, Sampling(order="transformers", **common))
    assert last[-1].left == 2
    assert first[-1].left == 3
    assert [step.name for step in last][-1] == "temperature"
    assert next(step.name for step in first) == "temperature"


def test_switched_off_steps_say_so() -> None:
    steps = maths.run_chain([0.5, 0.5], Sampling(temperature=1.0, top_p=1.0, top_k=0))
    assert all(step.off for step in steps)


@given(weights, st.floats(0.1, 2.0), st.floats(0.0, 0.5), st.integers(1, 2000), st.randoms())
def test_the_bounds_hold_for_any_way_the_rest_may_be_spread(
    values: list[float], temperature: float, outside: float, others: int, dice: object
) -> None:
    inside = [p * (1 - outside) for p in normal(values)]
    smallest = min(inside)
    # tokens outside the candidates are never likelier than the last candidate
    rest = []
    left = 1.0 - math.fsum(inside)
    for _ in range(others):
        p = min(smallest, left, smallest * dice.random())  # type: ignore[attr-defined]
        rest.append(p)
        left -= p
    if left > 1e-9:
        return
    exact = maths.at_temperature([*inside, *rest], temperature)
    bounds = maths.reshape(inside, temperature, len(inside) + others)
    for i in range(len(inside)):
        assert bounds.probs_low[i] - 1e-6 <= exact[i] <= bounds.probs_high[i] + 1e-6
    mass = math.fsum(exact[len(inside) :])
    assert bounds.remainder_low - 1e-6 <= mass <= bounds.remainder_high + 1e-6


def test_nothing_outside_leaves_no_doubt() -> None:
    bounds = maths.reshape([0.7, 0.3], 0.5, 2)
    assert bounds.probs_low == pytest.approx(bounds.probs_high)
    assert bounds.remainder_high == pytest.approx(0.0, abs=1e-12)
