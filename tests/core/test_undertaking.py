"""Long work: begun after what may fail, locked between processes, ended and forgotten whatever happens."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.core.jobs import JobManager
from twokeys.core.undertaking import LoopTask, Undertakings, in_thread
from twokeys.errors import BadInput, StoreLocked
from twokeys.store.locks import FileLock
from twokeys.store.repository import Repository

HOLDER = """
import sys
from pathlib import Path
from twokeys.store.locks import FileLock
assert FileLock(Path(sys.argv[1])).acquire(5)
print("held", flush=True)
sys.stdin.read()
"""


@dataclass(eq=False)
class Work:
    """Runs until it is stopped. fails: raises where it is stopped instead of ending."""

    fails: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    closing: bool = False

    def begin(self, ended: Callable[[], None]) -> None:
        in_thread("test-work", self._body, ended)

    def stop(self, *, closing: bool = False) -> None:
        self.closing = closing
        self.stopped.set()
        if self.fails:
            raise RuntimeError("cannot be stopped")

    def _body(self) -> None:
        assert self.stopped.wait(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def made(folder: Path) -> Undertakings[Work]:
    return Undertakings("work", lambda name: FileLock(folder / f"{name}.lock"), elsewhere="lab.elsewhere")


@pytest.fixture
def works(folder: Path) -> Iterator[Undertakings[Work]]:
    undertakings = made(folder)
    yield undertakings
    undertakings.close()


def test_what_runs_is_not_started_a_second_time(works: Undertakings[Work]) -> None:
    first = Work()
    assert works.start("a", lambda: first)
    assert not works.start("a", Work)
    assert works.get("a") is first and works.keys() == ["a"]


def test_a_stopped_work_is_forgotten_and_leaves_no_lock_file(works: Undertakings[Work], folder: Path) -> None:
    works.start("a", Work)
    assert [path.name for path in folder.iterdir()] == ["work-a.lock"]
    assert works.stop("a", 10)
    assert works.get("a") is None and list(folder.iterdir()) == []
    assert works.start("a", Work)


def test_a_start_that_fails_can_be_tried_again(works: Undertakings[Work], folder: Path) -> None:
    def fails() -> Work:
        raise StoreLocked(path="db")

    for _ in range(2):
        with pytest.raises(StoreLocked):
            works.start("a", fails)
    assert works.get("a") is None and works.wait("a", 0) and works.stop("a", 0)
    assert list(folder.iterdir()) == []
    assert works.start("a", Work)


def test_a_work_that_cannot_begin_is_not_registered(works: Undertakings[Work], folder: Path) -> None:
    class Broken(Work):
        def begin(self, ended: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        works.start("a", Broken)
    assert works.keys() == [] and list(folder.iterdir()) == []


def test_no_second_process_works_on_the_same_until_the_first_is_dead(
    works: Undertakings[Work], folder: Path
) -> None:
    path = folder / "work-a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert works.runs_elsewhere("a")
        with pytest.raises(BadInput) as refused:
            works.start("a", Work)
        assert "elsewhere" in refused.value.params["reason"].key
        holder.kill()
        holder.wait(10)
    assert not works.runs_elsewhere("a")
    assert works.start("a", Work)


def test_a_look_at_the_lock_does_not_keep_another_from_starting(folder: Path) -> None:
    entry, other = made(folder), made(folder)
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            other.runs_elsewhere("a")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(50):
            assert entry.start("a", Work)
            assert entry.stop("a", 10)
    finally:
        looking.set()
        watcher.join()


def test_one_work_that_cannot_be_stopped_keeps_no_other_from_being_closed(
    works: Undertakings[Work],
) -> None:
    broken, good = Work(fails=True), Work()
    works.start("broken", lambda: broken)
    works.start("good", lambda: good)
    works.close(10)
    assert good.stopped.is_set() and good.closing
    assert works.keys() == []
    assert not works.start("late", Work)


def test_work_that_raises_is_over_and_its_end_is_reported(folder: Path) -> None:
    ended: list[str] = []
    reported = threading.Event()

    def report(key: str, _: Work) -> None:
        ended.append(key)
        reported.set()

    class Raises(Work):
        def _body(self) -> None:
            raise RuntimeError("broken")

    works: Undertakings[Work] = Undertakings(
        "work",
        lambda name: FileLock(folder / f"{name}.lock"),
        elsewhere="lab.elsewhere",
        on_ended=report,
    )
    works.start("a", Raises)
    assert works.wait("a", 10) and reported.wait(10)
    assert ended == ["a"] and works.keys() == []


def test_a_coroutine_cancelled_before_its_first_step_ends_too() -> None:
    repository = Repository.open(load_config())
    jobs = JobManager(repository)
    steps: list[str] = []

    async def body() -> None:
        steps.append("begun")
        await asyncio.Event().wait()

    try:
        late, early = LoopTask(jobs.loop.submit), LoopTask(jobs.loop.submit)
        ends = [threading.Event(), threading.Event()]
        early.cancel()
        early.begin(body, ends[0].set)
        assert ends[0].wait(10) and steps == []
        late.begin(body, ends[1].set)
        while not steps:
            assert not ends[1].wait(0.01)
        late.cancel()
        assert ends[1].wait(10)
    finally:
        jobs.close()
        repository.close()
