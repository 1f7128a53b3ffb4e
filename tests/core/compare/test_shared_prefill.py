"""The question is processed once for all columns where the engine allows it, and never in vain."""

from twokeys.core.compare.column import Column
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import EngineRefused
from twokeys.services import Services

from ..making import MakeServices, until
from .making import BASE, QUESTION, by_temperature, ended, start


def test_the_question_is_processed_once_and_its_state_goes_to_every_slot(
    services: Services, engine: ScriptedEngine
) -> None:
    comparison = ended(services, start(services))
    assert comparison.sharing == "cloned"
    prefill, *columns = engine.requests
    assert (prefill.slot, prefill.sampling.max_new_tokens) == (0, 1)
    assert sorted(request.slot or 0 for request in columns) == [0, 1, 2]
    assert comparison.prefill.processed_tokens == comparison.prefill.prompt_tokens
    assert comparison.prefill.ratio == 1.0


def test_all_columns_write_at_the_same_time(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("word " * 40, delay_s=0.02)], slots=3))
    begun = start(services)
    until(lambda: all(column.answer.content for column in services.compare.stored.get(begun.id).columns))
    assert all(column.active for column in services.compare.stored.get(begun.id).columns)


def test_where_there_is_one_slot_the_columns_run_one_after_another_over_the_cache(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(by_temperature, slots=1))
    assert services.compare.plan(QUESTION, services.compare.default_columns(BASE)).sharing == "cached"
    comparison = ended(services, start(services))
    assert comparison.sharing == "cached"
    assert comparison.prefill.processed_tokens == comparison.prefill.prompt_tokens


def test_a_column_with_its_own_system_prompt_is_prefilled_alone(
    services: Services, engine: ScriptedEngine
) -> None:
    columns = [*services.compare.default_columns(BASE)[:2], Column(BASE.sampling, "poet", None, "Be a poet.")]
    comparison = ended(services, services.compare.start(QUESTION, columns, settings=BASE))
    assert comparison.columns[2].name == "poet"
    assert comparison.columns[2].answer.provenance.system_prompt == "Be a poet."
    prefills = [request for request in engine.requests if request.sampling.max_new_tokens == 1]
    assert sorted(request.slot or 0 for request in prefills) == [0, 2]


def test_stopping_one_column_while_the_question_is_processed_leaves_the_others(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(by_temperature, slots=3, prompt_s=0.3))
    begun = start(services)
    until(lambda: services.compare.stored.get(begun.id).sharing is not None)
    services.compare.stop(begun.id, 0)
    comparison = ended(services, begun)
    assert [c.answer.finish_reason for c in comparison.columns] == ["cancelled", "stop", "stop"]


def test_an_engine_that_fails_to_copy_lets_every_column_process_the_question_itself(
    make_services: MakeServices,
) -> None:
    class NoCopies(ScriptedEngine):
        async def restore_slot(self, slot: int, name: str) -> int:
            raise EngineRefused(status=501, reason="no slots here")

    services = make_services(NoCopies(by_temperature, slots=3))
    begun = start(services)
    until(lambda: services.compare.stored.get(begun.id).sharing == "none")
    comparison = ended(services, begun)
    assert all(column.answer.finish_reason == "stop" for column in comparison.columns)


def test_a_failed_prefill_fails_every_column_with_its_cause(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Fail(EngineRefused(status=400, reason="no"))], slots=3))
    comparison = ended(services, start(services))
    assert [(c.answer.error or {}).get("code") for c in comparison.columns] == ["engine_refused"] * 3
