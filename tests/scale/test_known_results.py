"""The simulation of docs/scale.md against known results: Erlang C, processor sharing, a driver's limit."""

import math

import pytest
from benchmarks.scale import Card, Talk, cards_needed, chat, exactly, exponential, first_token_p95, study


def erlang_c(servers: int, load: float) -> float:
    """Return the chance that a customer of an M/M/c queue waits (Erlang, 1917). load: arrivals × service."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (4, 3.0), (8, 5.6)])
def test_waits_are_those_of_an_mmc_queue(servers: int, load: float) -> None:
    card = Card(slots=servers, step_s=1.0)
    talk = Talk(exactly(0.0), exponential(1.0), arrivals_per_s=load)
    answered = chat(talk, [card], 60_000)
    waits = [request.admitted_s - request.asked_s for request in answered]
    expected = erlang_c(servers, load) / (servers - load)
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.15)
    assert sum(wait > 1e-9 for wait in waits) / len(waits) == pytest.approx(erlang_c(servers, load), rel=0.06)


def test_a_card_whose_speed_is_shared_by_all_is_a_processor_sharing_queue() -> None:
    card = Card(slots=10_000, step_s=1.0, more_s=1.0)  # n answers at 1/n of the speed each
    answered = chat(Talk(exactly(0.0), exponential(1.0), arrivals_per_s=0.7), [card], 60_000)
    mean = sum(request.done_s - request.asked_s for request in answered) / len(answered)
    assert mean == pytest.approx(1 / (1 - 0.7), rel=0.1), "1 / (μ − λ)"


def test_a_team_that_thinks_forever_waits_only_for_its_prompt_and_a_busy_one_needs_more_cards() -> None:
    card = Card(slots=64, step_s=0.02, more_s=0.0001, reads_tok_per_s=4000.0)
    alone = chat(Talk(exactly(1000.0), exactly(100.0), exactly(60.0), people=1), [card], 50)
    assert first_token_p95(alone) == pytest.approx(1000 / 4000 + 0.02)
    counts = [
        cards_needed(Talk(exactly(1000.0), exponential(300.0), exponential(10.0), people), card, 1.0, 1500)
        for people in (10, 100, 300)
    ]
    assert (
        all(count is not None for count in counts)
        and counts == sorted(counts, key=int)
        and counts[2] > counts[0]
    )  # type: ignore[arg-type]


def test_engines_add_up_until_the_driver_is_the_limit() -> None:
    ten = study(10, 1000, 6, exactly(5.0), 0.001)
    assert ten.per_s == pytest.approx(10 / 5, rel=0.01) and (ten.answers, ten.lost) == (6000, 0)
    many = study(1000, 4000, 6, exactly(5.0), 0.1)
    assert many.per_s == pytest.approx(1 / 0.1, rel=0.01), "one driver stores ten a second, whatever comes"


def test_failures_lose_no_answer_and_larger_blocks_lose_more() -> None:
    share = {}
    for block in (2, 60):
        run = study(20, 1200 // block, block, exponential(5.0), 0.001, failures_per_s=1 / 600)
        assert run.answers == 1200, "nothing is lost for good"
        share[block] = run.lost / run.answers
    assert 0 < share[2] < share[60]
