"""The job manager: queue, journal, events, stopping, failures."""

import asyncio
import gc
import itertools
import random
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twokeys.config import load_config
from twokeys.core import journal
from twokeys.core.guard import Guard
from twokeys.core.job import Job
from twokeys.core.job_table import JobTable
from twokeys.core.jobs import JobManager, JobSpec
from twokeys.core.provenance import PlannedPart
from twokeys.engines.scripted import End, Say, ScriptedEngine, Stall
from twokeys.errors import AnswersNotStored
from twokeys.services import Services, build_services
from twokeys.types import (
    ChatMessage,
    EngineInfo,
    GenerationRequest,
    Message,
    Phase,
    Sampling,
)

from .full_disk import FullDisk
from .making import MakeServices, conversation, until
from .watching import Reading


def words(count: int) -> str:
    """Text that never repeats itself: the guard has nothing to say about it."""
    dice = random.Random(7)
    return " ".join("".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(count))


def stored(services: Services, message_id: str) -> Message:
    return services.repository.get_message(message_id)


class Heard:
    """Keeps the events of a topic and puts the text together as the live component does."""

    def __init__(self, services: Services, topic: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self.gaps: list[str] = []
        self.stop = services.jobs.topics.subscribe(topic, self._hear)

    def _hear(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["type"] == "snapshot":
            self.texts = {job["id"]: job["text"] for job in event["jobs"]}
        elif event["type"] == "delta":
            before = self.texts.get(event["job"], "")
            if event["at"] != len(before):
                self.gaps.append(f"expected {len(before)}, got {event['at']}")
            self.texts[event["job"]] = before + event["text"]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


def test_streamed_text_is_in_the_store_while_it_grows(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(70), delay_s=0.01)]))
    sent = services.answers.send(conversation(services).id, "hello")
    until(lambda: len(services.jobs.view(sent.job.id).text) > 50)  # type: ignore[union-attr]
    for _ in range(2):
        seen = services.jobs.view(sent.job.id)
        assert seen is not None
        time.sleep(0.5)
        assert stored(services, sent.answer_message.id).content.startswith(seen.text)
    services.jobs.wait(sent.job.id, 20)


def test_answers_are_written_one_after_another_in_the_order_asked(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(8), delay_s=0.01)]))
    sent = [services.answers.send(conversation(services).id, f"question {n}") for n in range(4)]
    assert [services.jobs.view(s.job.id).state for s in sent[1:]] == ["queued"] * 3  # type: ignore[union-attr]
    views = [services.jobs.wait(s.job.id, 20) for s in sent]
    starts = [view.started_at or 0.0 for view in views]
    assert starts == sorted(starts)
    assert all(view.state == "done" for view in views)


def test_several_slots_write_side_by_side(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(60), delay_s=0.02)], slots=2))
    sent = [services.answers.send(conversation(services).id, f"question {n}") for n in range(3)]
    until(lambda: [v.state for v in services.jobs.views()] == ["running", "running", "queued"])
    for entry in sent:
        services.jobs.stop(entry.job.id)


def test_stop_keeps_the_text_and_frees_the_slot(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(300), delay_s=0.02)]))
    first = services.answers.send(conversation(services).id, "first")
    second = services.answers.send(conversation(services).id, "second")
    until(lambda: len(services.jobs.view(first.job.id).text) > 30)  # type: ignore[union-attr]
    services.jobs.stop(first.job.id)
    until(lambda: services.jobs.view(second.job.id).state == "running")  # type: ignore[union-attr]
    view = services.jobs.wait(first.job.id, 5)
    answer = stored(services, first.answer_message.id)
    assert (view.state, answer.state, answer.finish_reason) == ("cancelled", "done", "cancelled")
    assert answer.content == view.text
    assert words(300).startswith(answer.content)
    assert answer.provenance.completion_tokens == len(answer.token_ids) > 0


def test_a_queued_answer_can_be_stopped_before_it_began(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(100), delay_s=0.02)]))
    running = services.answers.send(conversation(services).id, "first")
    waiting = services.answers.send(conversation(services).id, "second")
    services.jobs.stop(waiting.job.id)
    view = services.jobs.wait(waiting.job.id, 5)
    assert (view.state, view.text) == ("cancelled", "")
    assert services.jobs.view(running.job.id).state == "running"  # type: ignore[union-attr]


def test_an_answer_stopped_in_its_first_instant_ends(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(50), delay_s=0.02)]))
    for _ in range(20):
        sent = services.answers.send(conversation(services).id, "hello")
        services.jobs.stop(sent.job.id)
        assert services.jobs.wait(sent.job.id, 5).state == "cancelled"


class _Loading(ScriptedEngine):
    """An engine that says what its start is doing, as the local one does."""

    phase: Phase | None = None

    async def info(self) -> EngineInfo:
        for self.phase in (Phase("starting"), Phase("loading", 0.5)):
            await asyncio.sleep(0.3)
        self.phase = None
        return await super().info()


def test_the_phases_of_an_engines_start_are_shown(make_services: MakeServices) -> None:
    services = make_services(_Loading([Say("Here.")]))
    topic = conversation(services).id
    heard = Heard(services, topic)
    services.jobs.wait(services.answers.send(topic, "hello").job.id, 10)
    until(lambda: bool(heard.of("done")))
    phases = [(event["job"]["phase"], event["job"]["progress"]) for event in heard.of("job")]
    order = [("queued", None), ("starting", None), ("loading", 0.5), ("prompt", None), ("generating", None)]
    assert [phase for phase in phases if phase in order and phase[0] != "prompt"][:4] == [
        *order[:3],
        order[4],
    ]


def test_a_late_listener_gets_the_whole_text_and_then_only_what_is_new(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(60), delay_s=0.005)]))
    topic = conversation(services).id
    early = Heard(services, topic)
    sent = services.answers.send(topic, "hello")
    until(lambda: len(services.jobs.view(sent.job.id).text) > 200)  # type: ignore[union-attr]
    late = Heard(services, topic)
    text = services.jobs.wait(sent.job.id, 20).text
    until(lambda: bool(late.of("done")))
    assert early.texts[sent.job.id] == late.texts[sent.job.id] == text
    assert early.gaps == late.gaps == []
    assert late.events[0]["type"] == "snapshot"
    assert late.of("done")[0]["chars"] == len(text)


def test_a_stall_is_shown_while_it_lasts(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Some words. "), Stall(3.2), Say("More words.")]))
    topic = conversation(services).id
    heard = Heard(services, topic)
    sent = services.answers.send(topic, "hello")
    until(lambda: services.jobs.view(sent.job.id).stalled_s >= 2.0)  # type: ignore[union-attr]
    view = services.jobs.wait(sent.job.id, 20)
    assert view.stalled_s == 0.0
    assert any(event["job"]["stalled_s"] >= 2.0 for event in heard.of("job"))
    kinds = [event["event"]["kind"] for event in heard.of("guard")]
    assert "stall" in kinds
    assert stored(services, sent.answer_message.id).content == "Some words. More words."


def test_a_mistake_of_ours_becomes_an_error_and_not_a_hanging_job(make_services: MakeServices) -> None:
    def broken(_request: GenerationRequest) -> Sequence[Say]:
        raise ZeroDivisionError("oops")

    services = make_services(ScriptedEngine(broken))
    sent = services.answers.send(conversation(services).id, "hello")
    view = services.jobs.wait(sent.job.id, 10)
    assert view.state == "failed"
    assert view.error is not None and view.error["code"] == "unexpected"


def test_the_length_limit_is_told_as_such(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(100))]))
    sent = services.answers.send(conversation(services, max_new_tokens=10).id, "hello")
    assert services.jobs.wait(sent.job.id, 10).finish_reason == "length"


def test_a_looping_answer_is_ended_and_cut_back(make_services: MakeServices) -> None:
    good = "The fox lives in the forest. It hunts at night. "
    services = make_services(ScriptedEngine([Say(good), Say("It is what it is, my friend. " * 60)]))
    sent = services.answers.send(conversation(services, max_new_tokens=2000).id, "Tell me of the fox.")
    view = services.jobs.wait(sent.job.id, 20)
    answer = stored(services, sent.answer_message.id)
    assert (view.state, answer.finish_reason) == ("done", "guard")
    assert answer.content.startswith(good.strip())
    assert answer.content.count("It is what it is") <= 2
    assert "It is what it is" in answer.provenance.parts[-1].removed_tail
    assert any(event.level == "stop" for event in answer.provenance.guard)
    assert answer.provenance.guard_report["cut"]
    assert [event.level for event in services.repository.events(answer.id)].count("stop") == 1


def test_the_decay_of_an_answer_is_told_while_it_grows(make_services: MakeServices) -> None:
    names = ["".join(parts) for parts in itertools.product("bdfgklm", "aeiou", "nrst", ("old", "wick"))]
    pairs = itertools.pairwise(name.title() for name in names)
    story = " ".join(f"The miller of {pair} met a fisherman from {other}." for pair, other in pairs)
    services = make_services(ScriptedEngine([Say(story)]))
    heard: list[dict[str, Any]] = []
    talk = conversation(services, max_new_tokens=4000)
    viewed: list[Any] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event)
        if event["type"] == "decay" and (view := services.jobs.view(event["job"])) is not None:
            viewed.append(view.to_dict()["decay"]["series"])

    services.jobs.topics.subscribe(talk.id, hear)
    sent = services.answers.send(talk.id, "Tell me of the mill.")
    services.jobs.wait(sent.job.id, 20)
    reported = [event["decay"]["series"] for event in heard if event["type"] == "decay"]
    assert [len(series) for series in reported] == list(range(1, len(reported) + 1))
    answer = stored(services, sent.answer_message.id)
    assert len(reported) > 5
    assert reported[-1] == answer.provenance.guard_report["decay"]["series"]
    assert viewed == reported, "who joins while it grows sees as much as who was there"


def request() -> GenerationRequest:
    return GenerationRequest((ChatMessage("user", "hi"),), Sampling(max_new_tokens=500))


def spec(engine: ScriptedEngine, **more: Any) -> JobSpec:
    async def give() -> ScriptedEngine:
        return engine

    async def prepare(_engine: object) -> PlannedPart:
        return PlannedPart(request(), await engine.info())

    return JobSpec(topic="t", engine=give, prepare=prepare, **more)


def test_a_background_job_gives_way_to_a_person(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    slow = ScriptedEngine([Say(words(400), delay_s=0.05)])
    background = services.jobs.start(spec(slow, background=True))
    until(lambda: services.jobs.view(background.id).state == "running")  # type: ignore[union-attr]
    asked = services.jobs.start(spec(ScriptedEngine([Say("Here.")])))
    assert services.jobs.wait(asked.id, 5).text == "Here."
    assert services.jobs.wait(background.id, 5).state == "cancelled"


def test_closing_marks_running_and_queued_answers_as_interrupted(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say(words(300), delay_s=0.02)]))
    running = services.answers.send(conversation(services).id, "first")
    queued = services.answers.send(conversation(services).id, "second")
    until(lambda: len(services.jobs.view(running.job.id).text) > 20)  # type: ignore[union-attr]
    services.close()
    again = make_services(ScriptedEngine())
    first, second = (stored(again, sent.answer_message.id) for sent in (running, queued))
    assert (first.state, second.state) == ("interrupted", "interrupted")
    assert words(300).startswith(first.content) and first.content
    assert again.recovered == []


def test_probabilities_are_stored_when_wanted(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Yes it is.", logprob=-0.5)]))
    topic = conversation(services).id
    heard = Heard(services, topic)
    sent = services.answers.send(topic, "hello", n_probs=3)
    services.jobs.wait(sent.job.id, 10)
    probs = services.repository.get_probs(sent.answer_message.id)
    assert "".join(prob.text for prob in probs) == "Yes it is."
    assert probs[0].logprob == pytest.approx(-0.5)
    until(lambda: bool(heard.of("done")))
    reported = [prob for event in heard.of("delta") for prob in event.get("probs", ())]
    assert len(reported) == len(probs)


def test_a_full_disk_is_told_once_and_the_answer_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "JOURNAL_RETRY_S", 0.05)
    disk = FullDisk()
    jobs = JobManager(disk)
    events: list[dict[str, Any]] = []
    jobs.topics.subscribe("t", events.append)
    answer = Message("m1", "t", None, "assistant", "", time.time())
    engine = ScriptedEngine([Say(words(80), delay_s=0.01), End()])
    try:
        view = jobs.start(spec(engine, message=answer))
        until(lambda: len(jobs.view(view.id).text) > 50)  # type: ignore[union-attr]
        disk.full = True
        ended = jobs.wait(view.id, 20)
        assert (ended.state, ended.text, ended.unsaved) == ("done", words(80), True)
        assert [job.id for job in jobs.views("t")] == [view.id]
        shown = jobs.overlay([replace(answer, content="word", state="streaming")])
        assert (shown[0].content, shown[0].state) == (words(80), "done")
        disk.full = False
        until(lambda: bool(disk.finished), 10)
        assert disk.finished[-1].content == words(80)
        until(lambda: jobs.views("t") == [])
        notices = [event["error"] for event in events if event["type"] == "notice"]
        assert [notice and notice["code"] for notice in notices] == ["store_full", None]
    finally:
        jobs.close()


def test_a_full_home_leaves_the_finished_answer_in_a_file_elsewhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(elsewhere))
    services = build_services(load_config(), engine=ScriptedEngine([Say(words(40), delay_s=0.01)]))
    sent = services.answers.send(conversation(services).id, "hello")
    until(lambda: len(services.jobs.view(sent.job.id).text) > 50)  # type: ignore[union-attr]
    home.rename(home.with_name("moved"))
    assert services.jobs.wait(sent.job.id, 20).unsaved
    with pytest.raises(AnswersNotStored):
        services.close()
    (file,) = elsewhere.iterdir()
    assert words(40) in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_the_watchers_of_ended_answers_are_let_go_at_once(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Fine.")]))
    watchers: list[weakref.ref[Any]] = []

    def start() -> str:
        watcher = Reading()
        watchers.append(weakref.ref(watcher))
        return services.jobs.start(spec(ScriptedEngine([Say("Fine.")]), watcher=watcher)).id

    for job_id in [start() for _ in range(8)]:
        services.jobs.wait(job_id, 10)
        assert services.jobs.view(job_id) is not None, "the job itself is remembered"
    until(lambda: not any(watcher() for watcher in watchers))


def test_the_guards_of_ended_answers_are_let_go(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Fine.")]))
    topic = conversation(services).id
    for _ in range(4):
        services.jobs.wait(services.answers.send(topic, "hello").job.id, 10)

    def guards() -> int:
        gc.collect()  # a guard and its reader hold each other
        return sum(isinstance(thing, Guard) for thing in gc.get_objects())

    until(lambda: guards() == 0)


def test_jobs_may_come_while_others_are_looked_at() -> None:
    table = JobTable(most=2)

    def add(name: str) -> Job:
        job = Job.of(name, spec(ScriptedEngine()), 0.0, [])
        table.add(job)
        return job

    for name in "abcd":
        add(name).ended.set()
    for job in table:
        add(f"{job.id}+")
    assert [job.id for job in table.active()] == ["a+", "b+", "c+", "d+"]
    table.forget_old(but=("a",))
    assert [job.id for job in table if not job.active] == ["a", "c", "d"]


def test_a_listener_that_fails_is_dropped_and_others_hear_on(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("Fine.")]))
    topic = conversation(services).id

    def bad(_event: dict[str, Any]) -> None:
        raise ValueError("bad listener")

    services.jobs.topics.subscribe(topic, bad)
    heard = Heard(services, topic)
    services.jobs.wait(services.answers.send(topic, "hello").job.id, 10)
    until(lambda: bool(heard.of("done")))


def test_the_memory_meter_speaks_while_somebody_listens(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(memory=1234))
    heard = Heard(services, "engine")
    until(lambda: bool(heard.of("meter")))
    assert set(heard.of("meter")[0]) >= {"memory_bytes", "pid"}
    heard.stop()


def test_run_from_the_loop_itself_is_refused_instead_of_hanging(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    result: list[str] = []
    done = threading.Event()

    def inside(_event: dict[str, Any]) -> None:
        try:
            services.jobs.loop.run(services.engines.release(), 5)
        except RuntimeError as error:
            result.append(str(error))
        done.set()

    services.jobs.topics.subscribe("anything", inside)
    assert done.wait(5)
    assert "own loop" in result[0]


def test_the_outcome_of_a_job_can_be_waited_for(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    started: list[str] = []
    heard: list[str] = []
    wanted = spec(ScriptedEngine([Say("Fine.")]), on_done=lambda outcome: heard.append(outcome.text))
    outcome = services.jobs.outcome(wanted, 10, started=lambda view: started.append(view.id))
    assert (outcome.text, heard, started) == ("Fine.", ["Fine."], [outcome.view.id])


def test_a_job_that_takes_too_long_is_stopped(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine())
    started: list[str] = []
    with pytest.raises(TimeoutError):
        services.jobs.outcome(
            spec(ScriptedEngine([Stall(60)])), 0.05, started=lambda view: started.append(view.id)
        )
    assert services.jobs.wait(started[0], 10).state == "cancelled"
