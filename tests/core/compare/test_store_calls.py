"""How often a comparison asks the store: counted, so that it cannot grow unnoticed."""

import pytest

from twokeys.core.compare.comparison import Comparison
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import Services
from twokeys.types import GenerationRequest, Sampling, Settings

from ..counting import counted_calls
from ..making import MakeServices, until

BASE = Settings(sampling=Sampling(max_new_tokens=200))
WHOLE_READING = ["documents.get", "get_conversation", "path", "get_messages"]


def by_temperature(request: GenerationRequest) -> list[Say]:
    return [Say(f"answer at {request.sampling.temperature:g} degrees")]


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services(ScriptedEngine(by_temperature, slots=3))


@pytest.fixture
def ended(services: Services) -> Comparison:
    begun = services.compare.start("Why?", services.compare.default_columns(BASE), settings=BASE)
    until(lambda: services.compare.stored.get(begun.id).sharing is not None)
    until(lambda: not services.compare.stored.get(begun.id).active)
    return services.compare.stored.get(begun.id)


@pytest.mark.parametrize("same_seed", [False, True], ids=["anew", "replay"])
def test_a_column_written_again_takes_one_reading_and_at_most_eight_store_calls(
    services: Services, ended: Comparison, same_seed: bool
) -> None:
    with counted_calls(services) as calls:
        made = services.compare.rerun(ended.id, 1, same_seed=same_seed)
    assert len(calls) <= 8, calls
    assert calls[:4] == WHOLE_READING and calls.count("path") == 1
    job = made.column(1).job
    assert job is not None
    services.jobs.wait(job.id, 20)
    stored = services.compare.stored.get(ended.id)
    assert made.column(1).answer_ids == stored.column(1).answer_ids
    assert made.column(1).answer.id == stored.column(1).answer.id != ended.column(1).answer.id


@pytest.mark.parametrize("act", ["continue", "fork", "vote"])
def test_whatever_is_done_with_a_column_the_comparison_is_read_once(
    services: Services, ended: Comparison, act: str
) -> None:
    with counted_calls(services) as calls:
        if act == "continue":
            services.compare.continue_(ended.id, 1)
        elif act == "fork":
            [_, second, *_] = services.repository.get_probs(ended.column(1).answer.id)
            services.compare.fork(ended.id, 1, 1, second.alternatives[0].token_id)
        else:
            services.compare.voting.vote(ended.id, [0])
    assert calls.count("documents.get") == 1 and calls.count("get_messages") == 1, calls


def test_what_is_returned_after_an_act_is_what_the_store_holds(services: Services, ended: Comparison) -> None:
    made = services.compare.rerun(ended.id, 0)
    services.jobs.wait(made.column(0).job.id, 20)  # type: ignore[union-attr]
    stored = services.compare.stored.get(ended.id)
    live = services.compare.stored.live(made)
    assert [column.answer_ids for column in live.columns] == [c.answer_ids for c in stored.columns]
    assert (live.id, live.question, live.settings) == (stored.id, stored.question, stored.settings)


def test_the_live_text_of_a_running_comparison_costs_no_store_call(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 200, delay_s=0.01)], slots=3))
    begun = services.compare.start("Why?", services.compare.default_columns(BASE), settings=BASE)
    until(lambda: all(column.answer.content for column in services.compare.stored.get(begun.id).columns))
    with counted_calls(services) as calls:
        now = services.compare.stored.live(begun)
    assert calls == []
    assert all(column.answer.content and column.active for column in now.columns)
    services.compare.stop(begun.id)
