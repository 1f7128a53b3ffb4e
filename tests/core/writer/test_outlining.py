"""The model makes an outline: a second try where the first is no use; stopped at once; or a reason."""

import threading
import time
from collections.abc import Sequence

from tests.core.making import MakeServices, until

from twokeys.core.writer.outlining import OutlineRun
from twokeys.core.writer.project import Project
from twokeys.core.writer.run import WritingParts
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall, Step
from twokeys.errors import EngineDied
from twokeys.services import Services
from twokeys.types import GenerationRequest

from .scripts import outline_json

PROJECT = Project("Tea", language="en", length=600)


def unbegun(services: Services) -> tuple[OutlineRun, str]:
    """Return the outline's run of a new project, and the project's id."""
    made = services.writer.new(PROJECT)
    store = services.writer.store
    parts = WritingParts(
        store, services.repository, services.jobs, services.answers, services.engines, time.time
    )
    return OutlineRun(parts, made, PROJECT, store.read(made).conversation), made


def finish(run: OutlineRun) -> None:
    ended = threading.Event()
    run.begin(ended.set)
    assert ended.wait(10)


def test_an_answer_of_no_use_is_asked_for_once_more_and_freer(make_services: MakeServices) -> None:
    answers = iter(["I cannot.", outline_json()])

    def script(request: GenerationRequest) -> Sequence[Step]:
        return [Say(next(answers))]

    engine = ScriptedEngine(script)
    services = make_services(engine)
    run, made = unbegun(services)
    finish(run)
    record = services.writer.store.read(made)
    assert (record.origin, len(record.outline.sections), record.error) == ("model", 6, None)
    first, second = engine.requests
    assert first.json_schema == second.json_schema is not None
    assert first.sampling.temperature < second.sampling.temperature


def test_an_outline_that_is_stopped_is_not_made_and_is_no_failure(make_services: MakeServices) -> None:
    engine = ScriptedEngine([Say("{"), Stall(60.0)])
    services = make_services(engine)
    run, made = unbegun(services)
    ended = threading.Event()
    run.begin(ended.set)
    until(lambda: run.tokens == 1)
    run.stop()
    assert ended.wait(10)
    record = services.writer.store.read(made)
    assert (record.outline.nodes, record.error, len(engine.requests)) == ((), None, 1)


def test_stopped_before_it_began_it_writes_nothing(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Stall(60.0)]))
    run, made = unbegun(services)
    run.stop()
    finish(run)
    assert services.writer.store.read(made).outline.nodes == ()


def test_an_engine_that_dies_twice_is_the_project_s_error_and_no_rules_are_put_in_its_place(
    make_services: MakeServices,
) -> None:
    engine = ScriptedEngine([Fail(EngineDied(reason="SIGKILL", log=""))])
    services = make_services(engine)
    run, made = unbegun(services)
    finish(run)
    record = services.writer.store.read(made)
    assert record.error is not None and record.error["code"] == "engine_died"
    assert (record.outline.nodes, len(engine.requests)) == ((), 2)
