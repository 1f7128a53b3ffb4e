"""What listeners hear of a job: all its text, each piece once, gathered where it comes fast, and its end."""

from collections.abc import Iterator
from typing import Any

import pytest

from twokeys.core.job import Job, JobSpec
from twokeys.core.job_events import DELTA_INTERVAL_S, JobEvents
from twokeys.core.loop import EngineLoop
from twokeys.core.topics import Topics
from twokeys.engine import Engine
from twokeys.types import TokenProb


async def no_engine() -> Engine:
    raise AssertionError("these jobs are never run")


async def no_part(engine: Engine) -> Any:
    raise AssertionError("these jobs are never run")


class Listening:
    """A listener of one job, on a loop of its own and a clock set by hand."""

    def __init__(self, loop: EngineLoop) -> None:
        self.loop = loop
        self.now = 100.0
        self.heard: list[dict[str, Any]] = []
        self.topics = Topics(loop, lambda topic: [])
        self.events = JobEvents(self.topics, loop, lambda: self.now)
        self.job = Job("j", JobSpec("c", no_engine, no_part), 0.0)
        self.stop = self.topics.subscribe("c", self.heard.append)
        loop.run(self.ready())
        self.heard.clear()  # the snapshot at the beginning

    async def ready(self) -> None:
        """Return once everything asked of the loop before is done."""

    def write(self, *pieces: str) -> list[dict[str, Any]]:
        """Let the text grow by pieces that come at once; return what was heard before any time had passed."""

        async def grow() -> list[dict[str, Any]]:
            for piece in pieces:
                self.job.text += piece
                self.job.token_count += 1
                self.events.delta_soon(self.job, self.now)
            return list(self.heard)

        return self.loop.run(grow(), 10)


@pytest.fixture
def listening() -> Iterator[Listening]:
    loop = EngineLoop("events")
    yield Listening(loop)
    loop.stop()
    loop.close()


def test_the_first_piece_is_sent_at_once_and_those_on_its_heels_together(listening: Listening) -> None:
    assert [event["text"] for event in listening.write("Tea", " came", " by", " sea")] == ["Tea"]
    listening.loop.run(flushed(listening), 10)
    assert [(event["at"], event["text"], event["n"]) for event in listening.heard] == [
        (0, "Tea", 1),
        (3, " came by sea", 4),
    ]
    listening.now += DELTA_INTERVAL_S
    assert listening.write(".")[-1]["text"] == ".", "long enough after: at once again"


async def flushed(listening: Listening) -> None:
    listening.events.flush(listening.job)
    listening.events.flush(listening.job)  # there is nothing left to send


def test_probabilities_come_with_their_text_and_once(listening: Listening) -> None:
    listening.job.probs.append(TokenProb("Tea", 5, -0.7))
    assert len(listening.write("Tea")[0]["probs"]) == 1
    listening.now += 1
    assert "probs" not in listening.write(" came")[-1]


def test_the_end_says_how_it_ended_and_whether_it_is_stored(listening: Listening) -> None:
    listening.job.text, listening.job.state, listening.job.finish_reason = "Tea.", "done", "stop"
    listening.loop.call(lambda: listening.events.done(listening.job, unsaved=True))
    listening.loop.run(listening.ready(), 10)
    (done,) = listening.heard
    assert (done["type"], done["state"], done["finish_reason"]) == ("done", "done", "stop")
    assert (done["chars"], done["unsaved"], done["job"]) == (4, True, "j")


def test_without_a_listener_the_state_is_counted_and_nothing_is_made_of_it(listening: Listening) -> None:
    listening.stop()
    listening.loop.call(lambda: listening.events.changed(listening.job))
    listening.loop.run(listening.ready(), 10)
    assert listening.job.version == 1 and listening.heard == []
