"""Answers kept while they grow: piece after piece, past a full disk, at the close or in a file elsewhere."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from twokeys.core import journal
from twokeys.core.job import Job, JobSpec
from twokeys.core.journal import JournalKeeper, Rescue
from twokeys.core.loop import EngineLoop
from twokeys.engine import Engine
from twokeys.errors import AnswersNotStored
from twokeys.types import Message

from .full_disk import FullDisk


async def no_engine() -> Engine:
    raise AssertionError("these jobs are never run")


async def no_part(engine: Engine) -> Any:
    raise AssertionError("these jobs are never run")


class Keeping:
    """One answer that grows over a disk of its own; what its listeners are sent."""

    def __init__(self, rescue: Rescue | None = None) -> None:
        self.disk = FullDisk()
        self.loop = EngineLoop("keeping")
        self.sent: list[Any] = []
        self.keeper = JournalKeeper(self.disk, self.loop, self._note, rescue=rescue)
        answer = Message("m1", "talk", None, "assistant", "", 0.0)
        self.job = Job.of("j", JobSpec("talk", no_engine, no_part, answer), 0.0, [])
        self.keeping = self.loop.submit(self._keep())

    async def _keep(self) -> None:
        await self.keeper.keep(self.job)

    def _note(self, job: Job, event: dict[str, Any]) -> None:
        error = event.get("error")
        self.sent.append(error["code"] if error else event["type"])

    def write(self, text: str) -> None:
        async def grow() -> None:
            self.job.text += text
            self.job.dirty.set()

        self.loop.run(grow(), 5)

    def until(self, true: Callable[[], bool]) -> None:
        async def look() -> None:
            while not true():
                await asyncio.sleep(0.005)

        self.loop.run(look(), 10)

    def end(self) -> None:
        """End the answer and store the whole of it, as far as the disk lets it."""
        self.keeping.cancel()
        self.job.answer("stop", None, None)
        self.loop.run(self.keeper.store_end(self.job), 10)

    def close(self) -> None:
        """As the manager does: the loop ends, then what is left is stored."""
        self.keeping.cancel()
        self.loop.stop()
        self.loop.close()
        self.keeper.close()


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Keeping]]:
    """Keep an answer, stored and tried again within a hundredth of a second."""
    monkeypatch.setattr(journal, "JOURNAL_INTERVAL_S", 0.01)
    monkeypatch.setattr(journal, "JOURNAL_RETRY_S", 0.01)
    made: list[Keeping] = []

    def make(rescue: Rescue | None = None) -> Keeping:
        made.append(Keeping(rescue))
        return made[-1]

    yield make
    for entry in made:
        entry.disk.full = False
        entry.close()


def test_every_piece_is_stored_once_and_in_order(keeping: Callable[..., Keeping]) -> None:
    answer = keeping()
    for piece in ("Tea", " came", " by sea."):
        answer.write(piece)
        answer.until(lambda: answer.disk.appended.get("m1") == answer.job.text)
    answer.end()
    assert [message.content for message in answer.disk.finished] == ["Tea came by sea."]
    assert answer.sent == []


def test_a_full_disk_is_told_once_and_its_room_too(keeping: Callable[..., Keeping]) -> None:
    answer = keeping()
    answer.disk.full = True
    answer.write("Tea")
    answer.until(lambda: bool(answer.sent))
    answer.write(" came")
    answer.disk.full = False
    answer.until(lambda: answer.disk.appended.get("m1") == "Tea came")
    answer.until(lambda: len(answer.sent) == 2)
    assert answer.sent == ["store_full", "notice"]


def test_an_answer_that_ended_on_a_full_disk_is_stored_when_there_is_room(
    keeping: Callable[..., Keeping],
) -> None:
    answer = keeping()
    answer.disk.full = True
    answer.write("Tea")
    answer.end()
    assert list(answer.keeper.unsaved) == ["j"]
    answer.disk.full = False
    answer.until(lambda: not answer.keeper.unsaved)
    assert [message.content for message in answer.disk.finished] == ["Tea"]
    assert answer.sent[-2:] == ["notice", "changed"]


def no_rescue(answers: Sequence[Message]) -> Path:
    raise AssertionError(f"not needed for {answers}")


def test_what_is_left_is_tried_once_more_at_the_close(
    keeping: Callable[..., Keeping], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "JOURNAL_RETRY_S", 60.0)
    answer = keeping(no_rescue)
    answer.disk.full = True
    answer.write("Tea")
    answer.end()
    answer.disk.full = False
    answer.close()
    assert [message.content for message in answer.disk.finished] == ["Tea"]


def test_what_the_disk_never_took_goes_elsewhere_and_the_close_says_where(
    keeping: Callable[..., Keeping], tmp_path: Path
) -> None:
    rescued: list[Message] = []

    def rescue(answers: Sequence[Message]) -> Path:
        rescued.extend(answers)
        return tmp_path / "rescued.md"

    answer = keeping(rescue)
    answer.disk.full = True
    answer.write("Tea")
    answer.end()
    with pytest.raises(AnswersNotStored) as error:
        answer.close()
    assert [message.content for message in rescued] == ["Tea"]
    assert error.value.params["count"] == 1
    assert str(tmp_path / "rescued.md") in error.value.message("en")
