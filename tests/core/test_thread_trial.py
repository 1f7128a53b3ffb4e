"""How many threads are fastest: those worth a trial, the fastest kept, noise and short time left alone."""

import asyncio

import pytest

from twokeys.core.thread_trial import ThreadTrial, numbers_to_try, try_threads
from twokeys.engine import OwnedEngine
from twokeys.errors import EngineError
from twokeys.types import WorkerSpec

from .test_draft_trial import Writer

SPEC = WorkerSpec("model.gguf", "model")


def tried(speeds: dict[int, float], *, slow: int | None = None, limit_s: float = 20.0) -> ThreadTrial:
    """slow: the number of threads with which an answer does not end."""
    made: list[Writer] = []

    def make(spec: WorkerSpec) -> OwnedEngine:
        assert spec.threads is not None
        made.append(Writer(speeds[spec.threads], wait_s=60 if spec.threads == slow else 0))
        return made[-1]

    try:
        return asyncio.run(try_threads(make, SPEC, tuple(speeds), limit_s))
    finally:
        assert made and all(engine.closed for engine in made)


def test_the_fastest_number_is_kept_unless_it_is_faster_by_noise() -> None:
    assert tried({8: 20.0, 7: 24.0, 4: 15.0}).best == 7
    assert tried({8: 20.0, 7: 20.9, 4: 15.0}).best == 8


def test_numbers_that_could_not_be_measured_in_time_are_left_out() -> None:
    trial = tried({8: 20.0, 4: 30.0, 16: 99.0}, slow=16, limit_s=1.0)
    assert trial == ThreadTrial({8: 20.0, 4: 30.0}, 8) and trial.best == 4


def test_one_measurement_alone_decides_nothing() -> None:
    with pytest.raises(EngineError, match="1 s were too short"):
        tried({8: 20.0, 4: 30.0}, slow=4, limit_s=1.0)


@pytest.mark.parametrize(
    ("used", "cores", "processors", "numbers"),
    [
        (8, 8, 16, (8, 7, 4, 16)),
        (2, 2, 2, (2, 1)),
        (1, 1, 1, (1,)),
        (3, 8, 8, (3, 8, 7, 4)),
        (12, 4, 4, (12, 4, 3, 2)),
    ],
)
def test_what_is_tried_begins_with_what_is_in_use(
    used: int, cores: int, processors: int, numbers: tuple[int, ...]
) -> None:
    assert numbers_to_try(used, cores, processors) == numbers
