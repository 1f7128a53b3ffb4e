"""Bounds of the next token's distribution: they hold for the full one, and are tight without a rest."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracles.outlook import NEGLIGIBLE, outlook
from tests.oracles.sampling import run_chain

from twokeys.types import SamplerOrder, Sampling

TOLERANCE = 1e-9


def distribution(seed: int, tokens: int, peak: float) -> list[float]:
    """Return a full distribution, the likeliest first, in which no single token is negligible."""
    source = random.Random(seed)
    weights = sorted((source.random() ** peak + 1000 * NEGLIGIBLE for _ in range(tokens)), reverse=True)
    total = math.fsum(weights)
    return [weight / total for weight in weights]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(20, 300),
    retained=st.integers(1, 19),
    peak=st.sampled_from([1.0, 4.0, 12.0, 40.0]),
    temperature=st.sampled_from([0.2, 0.5, 0.9, 1.0, 1.3, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 10, 40, 200]),
    min_p=st.sampled_from([0.0, 0.02, 0.2]),
    order=st.sampled_from(["llama.cpp", "transformers"]),
)
def test_the_bounds_hold_whatever_lies_outside_the_candidates(
    seed: int,
    tokens: int,
    retained: int,
    peak: float,
    temperature: float,
    top_k: int,
    min_p: float,
    order: SamplerOrder,
) -> None:
    full = distribution(seed, tokens, peak)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=1.0, min_p=min_p, order=order)
    truth = run_chain(full, sampling)[-1].probs
    result = outlook(
        full[:retained], temperature=temperature, top_k=top_k, min_p=min_p, order=order, vocabulary=tokens
    )
    assert result.sure
    for low, true, high in zip(result.low, truth, result.high, strict=False):
        assert low - TOLERANCE <= true <= high + TOLERANCE
    rest = math.fsum(truth[retained:])
    assert result.rest_low - TOLERANCE <= rest <= result.rest_high + TOLERANCE


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    peak=st.sampled_from([1.0, 4.0, 12.0]),
    top_p=st.sampled_from([0.1, 0.5, 0.8, 0.95, 1.0]),
    top_k=st.sampled_from([1, 5, 20]),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 1.7]),
)
def test_in_the_order_of_llama_cpp_a_top_k_within_the_candidates_makes_it_exact_but_for_top_p(
    seed: int, peak: float, top_p: float, top_k: int, temperature: float
) -> None:
    full = distribution(seed, 200, peak)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    truth = run_chain(full, sampling)[-1].probs
    result = outlook(full[:20], temperature=temperature, top_k=top_k, top_p=top_p, vocabulary=200)
    assert result.sure and result.rest_high == 0
    assert result.low == pytest.approx(truth[:20], abs=1e-9)
    assert result.high == pytest.approx(truth[:20], abs=1e-9)


def test_what_cuts_a_candidate_is_named() -> None:
    result = outlook([0.5, 0.3, 0.15, 0.05], temperature=1.0, top_k=3, top_p=0.8, vocabulary=4)
    assert result.cut == (None, None, "top_p", "top_k")
    assert result.low == pytest.approx((0.625, 0.375, 0, 0))


def test_what_cuts_the_rest_is_named() -> None:
    result = outlook([0.6, 0.2], temperature=0.7, min_p=0.5, vocabulary=1000)
    assert (result.cut, result.rest_cut, result.rest_high) == ((None, "min_p"), "min_p", 0.0)


def test_the_order_decides_how_much_heat_keeps() -> None:
    probs = distribution(3, 100, 4.0)
    options = {"temperature": 1.8, "top_p": 0.5, "vocabulary": 100}
    llama = outlook(probs, order="llama.cpp", **options)
    transformers = outlook(probs, order="transformers", **options)
    assert llama.cut.count(None) < transformers.cut.count(None)


def test_temperature_zero_takes_the_likeliest_alone() -> None:
    result = outlook([0.2, 0.5], temperature=0.0, vocabulary=1000)
    assert (result.low, result.high, result.rest_high) == ((0.0, 1.0), (0.0, 1.0), 0.0)


@pytest.mark.parametrize(("probs", "temperature"), [([0.0, 0.0], 1.0), ([0.5], -1.0)])
def test_what_has_no_distribution_is_refused(probs: list[float], temperature: float) -> None:
    with pytest.raises(ValueError):
        outlook(probs, temperature=temperature, vocabulary=10)
