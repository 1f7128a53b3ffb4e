"""Whether drafting is faster here: both measured, each engine ended, no verdict from half of it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from twokeys.core.draft_trial import DraftTrial, try_draft
from twokeys.engine import OwnedEngine
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import EngineError
from twokeys.types import Draft, EngineEvent, Finished, GenerationRequest, WorkerSpec

SPEC = WorkerSpec("model.gguf", "model")
DRAFT = Draft("ngram-simple", 8, "simple")


class Writer(ScriptedEngine):
    """An engine that says it wrote at a speed, and how many of its drafts were accepted."""

    def __init__(
        self, tok_per_s: float | None, drafted: int = 0, accepted: int = 0, wait_s: float = 0
    ) -> None:
        super().__init__([Say("text")])
        self.said = (tok_per_s, {"draft_tokens": drafted, "draft_accepted": accepted})
        self.wait_s = wait_s
        self.closed = False

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        await asyncio.sleep(self.wait_s)
        async for event in super().generate(request):
            if isinstance(event, Finished):
                speed, facts = self.said
                event = replace(event, timings=replace(event.timings, tok_per_s=speed), engine=facts)
            yield event

    async def close(self) -> None:
        self.closed = True
        await super().close()


class Makes:
    """Makes a writer of one kind with drafts and of another without, and remembers them."""

    def __init__(self, plain: tuple[float | None, float], drafting: tuple[float | None, float]) -> None:
        self.speeds = {False: plain, True: drafting}
        self.made: list[Writer] = []

    def __call__(self, spec: WorkerSpec) -> OwnedEngine:
        drafts = spec.draft is not None
        speed, wait_s = self.speeds[drafts]
        self.made.append(Writer(speed, *((10, 7) if drafts else (0, 0)), wait_s=wait_s))
        return self.made[-1]


def tried(make: Makes, limit_s: float = 20.0) -> DraftTrial:
    return asyncio.run(try_draft(make, SPEC, DRAFT, limit_s))


def test_a_trial_says_the_speed_of_both_and_the_share_accepted() -> None:
    make = Makes((10.0, 0), (15.0, 0))
    trial = tried(make)
    assert (trial.name, trial.without_tok_per_s, trial.with_tok_per_s) == ("simple", 10.0, 15.0)
    assert (trial.accepted, trial.gain, trial.faster) == (0.7, 1.5, True)
    assert len(make.made) == 4 and all(engine.closed for engine in make.made)


def test_what_is_faster_by_the_noise_of_a_machine_is_not_worth_having() -> None:
    assert not tried(Makes((100.0, 0), (104.0, 0))).faster


def test_when_time_is_up_what_was_measured_of_both_is_enough() -> None:
    make = Makes((10.0, 0), (15.0, 0))

    def slow_at_last(spec: WorkerSpec) -> OwnedEngine:
        engine = make(spec)
        make.made[-1].wait_s = 60 if len(make.made) > 2 else 0
        return engine

    trial = asyncio.run(try_draft(slow_at_last, SPEC, DRAFT, 1.0))
    assert trial.gain == 1.5 and all(engine.closed for engine in make.made)


@pytest.mark.parametrize(
    "make", [Makes((10.0, 0), (15.0, 60)), Makes((None, 0), (15.0, 0))], ids=["too slow", "no speed told"]
)
def test_without_a_measurement_of_both_there_is_no_verdict(make: Makes) -> None:
    with pytest.raises(EngineError) as caught:
        tried(make, 1.0)
    assert "1" in caught.value.message("en")
    assert all(engine.closed for engine in make.made)
