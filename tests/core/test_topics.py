"""Who hears what: in order, from the first state on, and nobody suffers for another listener."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from twokeys.core.loop import EngineLoop
from twokeys.core.topics import ENGINE_TOPIC, Event, Topics


@pytest.fixture
def loop() -> Iterator[EngineLoop]:
    running = EngineLoop("topics")
    yield running
    running.stop()
    running.close()


def make(loop: EngineLoop, meter: Callable[[], Mapping[str, Any]] | None = None) -> Topics:
    return Topics(loop, lambda topic: [{"topic": topic}], meter=meter)


def let_pass(loop: EngineLoop) -> None:
    """Return when the loop has done all that was handed to it."""
    loop.run(asyncio.sleep(0), 10)


def test_a_listener_hears_the_present_state_and_then_every_event_of_its_topic_in_order(
    loop: EngineLoop,
) -> None:
    topics, heard = make(loop), list[Event]()
    topics.publish("talk", {"type": "changed"})
    topics.subscribe("talk", heard.append)
    for number in range(3):
        topics.publish("talk", {"n": number})
        topics.publish("other", {"n": number})
    let_pass(loop)
    assert heard == [{"type": "snapshot", "jobs": [{"topic": "talk"}]}, {"n": 0}, {"n": 1}, {"n": 2}]


def test_a_listener_that_raises_is_dropped_and_the_others_hear_on(loop: EngineLoop) -> None:
    topics, heard, broken = make(loop), list[Event](), list[Event]()

    def fails(event: Event) -> None:
        broken.append(event)
        if event["type"] == "changed":
            raise RuntimeError("cannot draw")

    topics.subscribe("talk", fails)
    topics.subscribe("talk", heard.append)
    for _ in range(2):
        topics.publish("talk", {"type": "changed"})
    let_pass(loop)
    assert [event["type"] for event in broken] == ["snapshot", "changed"]
    assert [event["type"] for event in heard] == ["snapshot", "changed", "changed"]


def test_whoever_has_left_hears_nothing_and_may_leave_twice(loop: EngineLoop) -> None:
    topics, heard = make(loop), list[Event]()
    leave = topics.subscribe("talk", heard.append)
    leave()
    leave()
    topics.publish("talk", {"type": "changed"})
    let_pass(loop)
    assert [event["type"] for event in heard] == ["snapshot"]
    assert not topics.has_listeners("talk")


@pytest.mark.parametrize("fails", [False, True])
def test_memory_is_measured_for_whoever_listens_to_the_engine_and_a_failed_meter_ends_nothing(
    loop: EngineLoop, fails: bool
) -> None:
    measured, published = threading.Event(), threading.Event()
    meters: list[Event] = []

    def meter() -> Mapping[str, Any]:
        measured.set()
        if fails:
            raise OSError("no such process")
        return {"memory_bytes": 5}

    def hear(event: Event) -> None:
        if event["type"] == "meter":
            meters.append(event)
            published.set()

    topics = make(loop, meter)
    topics.subscribe("talk", hear)
    let_pass(loop)
    assert not measured.is_set(), "nobody wants to know"
    topics.subscribe(ENGINE_TOPIC, hear)
    assert published.wait(10)
    assert meters == [{"type": "meter"} if fails else {"type": "meter", "memory_bytes": 5}]
