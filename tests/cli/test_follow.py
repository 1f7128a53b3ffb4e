"""An answer followed from another thread: every word once, whenever one begins to listen."""

from collections.abc import Iterator

import pytest

from twokeys.cli.follow import Follower
from twokeys.config import load_config
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall
from twokeys.errors import EngineDied
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

LOOP = "It is what it is, my friend. "


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine([Say("Tea came by sea.")])


@pytest.fixture
def services(engine: ScriptedEngine) -> Iterator[Services]:
    built = build_services(load_config(), engine=engine)
    yield built
    built.close()


def talk(services: Services) -> str:
    return services.conversations.new(Settings(sampling=Sampling(max_new_tokens=900))).id


def test_all_of_an_answer_is_heard_once_and_then_its_end(services: Services) -> None:
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        sent = services.answers.send(topic, "Whence?")
        heard = [progress for progress in follower.events(sent.job.id) if progress is not None]
    assert "".join(progress.text for progress in heard) == "Tea came by sea."
    assert [progress.ended for progress in heard].count(True) == 1 and heard[-1].state == "done"
    assert "generating" in {progress.phase for progress in heard}


def test_who_comes_after_the_end_gets_the_whole_text_at_once(services: Services) -> None:
    topic = talk(services)
    sent = services.answers.send(topic, "Whence?")
    services.jobs.wait(sent.job.id, 10)
    with Follower(services.jobs).listen(topic) as follower:
        heard = [progress for progress in follower.events(sent.job.id) if progress is not None]
    assert "".join(progress.text for progress in heard) == "Tea came by sea." and heard[-1].ended


def test_what_is_known_already_is_not_heard_again(services: Services) -> None:
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        sent = services.answers.send(topic, "Whence?")
        events = follower.events(sent.job.id, already=len("Tea came"))
        assert "".join(progress.text for progress in events if progress is not None) == " by sea."


def test_while_nothing_comes_the_caller_has_its_turn(services: Services, engine: ScriptedEngine) -> None:
    engine.script = [Say("Tea"), Stall(0.3), Say(".")]
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        sent = services.answers.send(topic, "Whence?")
        assert None in list(follower.events(sent.job.id))


def test_what_the_guard_notices_comes_with_the_text(services: Services, engine: ScriptedEngine) -> None:
    engine.script = [Say(LOOP * 40)]
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        sent = services.answers.send(topic, "Whence?")
        heard = [progress for progress in follower.events(sent.job.id) if progress is not None]
    noticed = [progress.guard for progress in heard if progress.guard is not None]
    assert [event.kind for event in noticed][-1] == "loop" and noticed[-1].level == "stop"


def test_other_answers_of_the_conversation_are_not_mixed_in(
    services: Services, engine: ScriptedEngine
) -> None:
    answers = iter(["First.", "Second."])
    engine.script = lambda request: [Say(next(answers), delay_s=0.005)]
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        services.answers.send(topic, "Whence?")
        second = services.answers.send(topic, "And then?")
        events = follower.events(second.job.id)
        assert "".join(progress.text for progress in events if progress is not None) == "Second."


def test_an_answer_that_failed_ends_with_what_there_is(services: Services, engine: ScriptedEngine) -> None:
    engine.script = [Say("Tea"), Fail(EngineDied(reason="SIGKILL", log=""))]
    topic = talk(services)
    with Follower(services.jobs).listen(topic) as follower:
        sent = services.answers.send(topic, "Whence?")
        heard = [progress for progress in follower.events(sent.job.id) if progress is not None]
    assert ("".join(progress.text for progress in heard), heard[-1].state) == ("Tea", "failed")
