"""The course of a job alone, without a queue: parts, the watcher, how it ends, who hears of it when."""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import pytest
from tests.store.making import message

from twokeys.config import Config, prepare_home
from twokeys.core.job import Job, JobSpec, Outcome
from twokeys.core.job_events import JobEvents
from twokeys.core.job_run import Hook, JobRuns
from twokeys.core.journal import JournalKeeper
from twokeys.core.loop import EngineLoop
from twokeys.core.provenance import PlannedPart
from twokeys.core.topics import Topics
from twokeys.engine import Engine
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import EngineDied, Reason
from twokeys.store.repository import Repository
from twokeys.types import (
    ChatMessage,
    EngineEvent,
    GenerationRequest,
    Message,
    PromptProgress,
    Sampling,
)

from .watching import Reading

QUESTION = (ChatMessage("user", "Whence?"),)


class Course:
    """Runs jobs one at a time over a real store, and notes what their owner and listeners are told."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.loop = EngineLoop("course")
        self.slots: list[int] = []
        self.course: list[str] = []
        self.outcomes: list[Outcome] = []
        self.hooks: list[Hook] = [self.outcomes.append]
        topics = Topics(self.loop, lambda topic: [])
        self.events = JobEvents(topics, self.loop, time.monotonic)
        self.keeper = JournalKeeper(repository, self.loop, self.events.send)
        self.runs = JobRuns(self, self.loop, self.events, self.keeper, time.time, time.monotonic)
        topics.subscribe("talk", lambda event: self.course.append(event["type"]))

    def set_slots(self, slots: int, queue: str) -> None:
        self.slots.append(slots)

    def written(self, job: Job) -> None:
        self.course.append("free")

    def ended(self, job: Job) -> Sequence[Hook]:
        return self.hooks

    def answer(self) -> Message:
        talk = self.repository.create_conversation()
        question = self.repository.add_message(message(talk.id, None, "user", "Whence?"))
        made = message(talk.id, question.id, "assistant", "", state="streaming")
        self.repository.begin(made)
        return made

    def run(self, engine: ScriptedEngine, **more: Any) -> Job:
        """Run a job to its end."""

        async def give() -> Engine:
            return engine

        async def prepare(_engine: Engine) -> PlannedPart:
            return PlannedPart(GenerationRequest(QUESTION, Sampling(max_new_tokens=3)), await engine.info())

        job = Job.of("j", JobSpec("talk", give, **{"prepare": prepare, **more}), time.time(), [])

        async def course() -> None:
            job.task = self.loop.create_task(self.runs.run(job))
            await job.task

        self.loop.run(course(), 10)
        return job

    def close(self) -> None:
        self.loop.stop()
        self.keeper.close()
        self.loop.close()


@pytest.fixture
def course(home: Any) -> Iterator[Course]:
    config = Config(home=home)
    prepare_home(config)
    repository = Repository.open(config)
    running = Course(repository)
    yield running
    running.close()
    repository.close()


def test_a_place_is_free_before_the_end_is_told_and_hooks_hear_of_it_last(course: Course) -> None:
    last: list[str] = []
    course.hooks.append(lambda outcome: last.append(course.course[-1]))
    answer = course.answer()
    job = course.run(ScriptedEngine([Say("By sea")], slots=2), message=answer, begun=True)
    assert (job.state, course.slots) == ("done", [2])
    assert course.course.index("free") < course.course.index("done")
    assert last == ["done"] and course.outcomes[0].text == "By sea"
    assert course.repository.get_message(answer.id).content == "By sea"


def test_a_part_cut_by_its_length_is_followed_until_nothing_more_is_planned(course: Course) -> None:
    engine = ScriptedEngine(lambda request: [Say("Tea came by sea"[len(request.prefix) :])])

    async def more(so_far: Outcome, _engine: Engine) -> PlannedPart:
        sampling = Sampling(max_new_tokens=100)
        request = GenerationRequest(QUESTION, sampling, so_far.text, prefix_ids=so_far.token_ids)
        return PlannedPart(request, await engine.info())

    job = course.run(engine, more=more)
    (outcome,) = course.outcomes
    assert (outcome.text, job.finish_reason) == ("Tea came by sea", "stop")
    assert [(part.from_char, part.to_char) for part in outcome.parts] == [(0, 8), (8, 15)]
    assert [request.prefix for request in engine.requests] == ["", "Tea came"]


def test_an_engine_that_dies_leaves_its_text_and_its_reason(course: Course) -> None:
    answer = course.answer()
    dying = ScriptedEngine([Say("By"), Fail(EngineDied(reason="SIGKILL", log=""))])
    job = course.run(dying, message=answer, begun=True)
    stored = course.repository.get_message(answer.id)
    assert (job.state, stored.state, stored.content) == ("failed", "failed", "By")
    assert stored.error is not None and stored.error["params"]["reason"] == "SIGKILL"


class _Endless(ScriptedEngine):
    """Ends its stream without a word of how."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        yield PromptProgress(4, 0, 4, 0.0)


def test_a_stream_without_its_end_is_an_error_and_no_answer(course: Course) -> None:
    job = course.run(_Endless())
    assert job.state == "failed" and job.error is not None
    assert str(Reason("errors.reason.ended_early")) == job.error["params"]["reason"]


def test_a_job_stopped_before_its_task_began_asks_no_engine(course: Course) -> None:
    engine = ScriptedEngine()

    async def prepare(_engine: Engine) -> PlannedPart:
        raise AssertionError("it was stopped")

    async def give() -> Engine:
        return engine

    job = Job.of("j", JobSpec("talk", give, prepare), 0.0, [])
    job.stop_reason = "interrupted"
    course.loop.run(course.runs.run(job), 10)
    assert (job.state, job.ended.is_set(), engine.requests) == ("interrupted", True, [])


def test_a_hook_that_fails_keeps_the_next_from_nothing(course: Course) -> None:
    def fails(_outcome: Outcome) -> None:
        raise RuntimeError("of no use")

    course.hooks.insert(0, fails)
    course.run(ScriptedEngine([Say("By sea")]))
    assert [outcome.text for outcome in course.outcomes] == ["By sea"]


def test_a_watcher_ends_the_answer_and_what_it_cuts_off_stays_in_the_record(course: Course) -> None:
    job = course.run(ScriptedEngine([Say("Tea came by")]), watcher=Reading("came"))
    (outcome,) = course.outcomes
    assert (job.finish_reason, outcome.text, outcome.parts[-1].removed_tail) == ("guard", "Tea", " came")
    assert outcome.token_ids == (), "the ids of half a text would lie"
    assert [event.level for event in outcome.parts[-1].guard] == ["stop", "note"]


def test_a_watcher_with_a_mistake_is_taken_off_and_the_answer_goes_on(course: Course) -> None:
    course.run(ScriptedEngine([Say("By sea")]), watcher=Reading(mistaken=True))
    assert (course.outcomes[0].text, course.outcomes[0].view.state) == ("By sea", "done")
