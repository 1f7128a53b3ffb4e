"""A distribution in steps, and the rank up to which each setting keeps its tokens."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.oracles.sampling import run_chain

from twokeys.core.study.spectrum import HEAD, Cuts, Spectrum
from twokeys.types import SamplerOrder, Sampling


def logprobs(seed: int, tokens: int, spread: float) -> list[float]:
    source = random.Random(seed)
    logits = sorted((source.gauss(0, spread) for _ in range(tokens)), reverse=True)
    total = math.log(math.fsum(math.exp(logit) for logit in logits))
    return [logit - total for logit in logits]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(2, HEAD),
    spread=st.sampled_from([0.5, 2.0, 5.0]),
    temperature=st.sampled_from([0.0, 0.2, 0.7, 1.0, 1.4, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 20]),
    top_p=st.sampled_from([0.3, 0.8, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.3]),
    order=st.sampled_from(["llama.cpp", "transformers"]),
)
def test_single_tokens_have_the_chances_of_the_sampler_chain(
    seed: int,
    tokens: int,
    spread: float,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    order: SamplerOrder,
) -> None:
    values = logprobs(seed, tokens, spread)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, order=order)
    truth = run_chain([math.exp(value) for value in values], sampling)[-1].probs
    result = Spectrum.of(values).weights(Cuts.of(sampling), np.array([temperature]))[0]
    assert result == pytest.approx(truth, abs=1e-9)


@settings(max_examples=60, deadline=None)
@example(seed=1, temperature=0.7, top_p=0.5, top_k=0, order="transformers")
@given(
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 1.5, 2.0]),
    top_p=st.sampled_from([0.5, 0.9, 1.0]),
    top_k=st.sampled_from([0, 20, 400]),
    order=st.sampled_from(["llama.cpp", "transformers"]),
)
def test_steps_change_no_chance_by_more_than_half_a_point_but_for_one_token_at_a_nucleus_edge(
    seed: int, temperature: float, top_p: float, top_k: int, order: SamplerOrder
) -> None:
    values = logprobs(seed, 3000, 2.0)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, order=order)
    spectrum = Spectrum.of(values)
    assert len(spectrum.counts) < 150
    result = spectrum.weights(Cuts.of(sampling), np.array([temperature]))[0]
    # the mass of a heated step is known to a few thousandths: a nucleus may end a token sooner or later
    near = {min(1.0, top_p + shift) for shift in (-0.004, 0.0, 0.004)} if top_p < 1 else {1.0}
    truths = [
        run_chain([math.exp(value) for value in values], replace(sampling, top_p=share))[-1].probs[:HEAD]
        for share in near
    ]
    assert any(result[:HEAD] == pytest.approx(truth, abs=0.005) for truth in truths)
    assert float((result * spectrum.counts).sum()) == pytest.approx(1.0)


def test_top_n_sigma_keeps_what_lies_within_its_deviations_of_the_best() -> None:
    values = logprobs(5, 2000, 3.0)
    bound = values[0] - 1.5 * float(np.std(values))
    ranks = Spectrum.of(values).ranks(Cuts(top_n_sigma=1.5), np.array([1.0, 2.0]))
    within = sum(value >= bound for value in values)
    # a step stays whole or goes
    assert abs(ranks[0] - within) <= max(3, 0.1 * within)
    assert ranks[0] == ranks[1]


def test_it_comes_back_from_what_is_stored() -> None:
    spectrum = Spectrum.of(logprobs(1, 5000, 2.0))
    back = Spectrum.from_dict(spectrum.to_dict())
    cuts, temperatures = Cuts(top_p=0.9), np.array([0.0, 1.0, 2.0])
    assert back.weights(cuts, temperatures) == pytest.approx(spectrum.weights(cuts, temperatures), abs=1e-3)
    assert Cuts(top_p=0.9).to_dict() == {"top_p": 0.9}
