"""Force clear while others send: what comes meanwhile waits, and nothing is left failed."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import EngineDied
from twokeys.types import EngineInfo, ReleaseReport

from .making import MakeServices, conversation, until


class SlowToEnd(ScriptedEngine):
    """Takes its time to be released; whoever asks it meanwhile meets a dying process."""

    def __init__(self) -> None:
        super().__init__([Say("Here I am.")], memory=1000)
        self.releasing = threading.Event()
        self.go_on = threading.Event()

    async def info(self) -> EngineInfo:
        if self.releasing.is_set() and not self.go_on.is_set():
            raise EngineDied(reason="released while starting", log="")
        return await super().info()

    async def release(self) -> ReleaseReport:
        self.releasing.set()
        await asyncio.to_thread(self.go_on.wait)
        return await super().release()


def test_a_message_sent_during_a_force_clear_waits_and_is_answered(make_services: MakeServices) -> None:
    engine = SlowToEnd()
    services = make_services(engine)
    topic = conversation(services).id
    services.jobs.wait(services.answers.send(topic, "before").job.id, 10)
    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(services.force_clear.release, topic)
        assert engine.releasing.wait(10)
        sent = services.answers.send(topic, "hello")
        view = services.jobs.view(sent.job.id)
        assert view is not None and view.state == "queued"
        engine.go_on.set()
        released.result(20)
    assert services.jobs.wait(sent.job.id, 10).state == "done"


@pytest.mark.parametrize("keep", [True, False])
def test_a_failed_force_clear_lets_the_queue_go_on(make_services: MakeServices, keep: bool) -> None:
    class Stubborn(ScriptedEngine):
        async def release(self) -> ReleaseReport:
            raise EngineDied(reason="no", log="")

    services = make_services(Stubborn([Say("Here I am.")]))
    topic = conversation(services).id
    services.jobs.wait(services.answers.send(topic, "before").job.id, 10)
    with pytest.raises(EngineDied):
        services.force_clear.release(topic, keep_history=keep)
    sent = services.answers.send(topic, "hello")
    assert services.jobs.wait(sent.job.id, 10).state == "done"
    assert services.conversations.get(topic).resets == ()


def test_what_the_automatic_clear_gave_back_is_told(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine([Say("A poem.")], memory=1000))
    events: list[dict[str, object]] = []
    services.jobs.topics.subscribe("engine", events.append)
    talk = conversation(services)
    services.conversations.set_settings(talk.id, services.presets.apply("creative", talk.settings))
    services.answers.send(talk.id, "a poem")
    until(lambda: any(event["type"] == "released" for event in events))
    (reported,) = [event for event in events if event["type"] == "released"]
    assert reported["freed_bytes"] == 1000
