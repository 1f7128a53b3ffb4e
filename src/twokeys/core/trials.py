"""Ways to start the engine, measured against each other: one text is copied with each, forth and back.

One engine after the other is started, as memory is planned for one. Nothing is kept here.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from statistics import median

from twokeys.engine import Engine, OwnedEngine
from twokeys.errors import EngineError, Reason
from twokeys.types import ChatMessage, Finished, GenerationRequest, Sampling, WorkerSpec

ENOUGH = 1.05
"""So much faster it has to be: less is the noise of a machine."""
TEXT = (
    "The harbour office was built in 1871 and is the oldest house of the quay. "
    "港务局建于一八七一年，是码头上最老的房子。"
    "Its clock was given by the fishermen, and since then it has been wound every Monday. "
    "钟是渔民们送的，从那时起每个星期一都要上一次发条。"
)
COPY_REQUEST = GenerationRequest(
    (ChatMessage("user", f"Return this text unchanged, twice:\n\n{TEXT}"),),
    Sampling(temperature=0.0, max_new_tokens=64, repetition_penalty=1.0),
    ignore_eos=True,
)


@dataclass(frozen=True, slots=True)
class StartSpeed:
    """What came of one way: tokens per second (the median), and the share of drafted tokens accepted."""

    tok_per_s: float
    accepted: float


async def measure(
    make: Callable[[WorkerSpec], OwnedEngine], specs: Sequence[WorkerSpec], limit_s: float, too_slow: str
) -> dict[int, StartSpeed]:
    """Measure each way to start an engine twice, the first one first and last; by its place in `specs`.

    Where time runs out those that were not reached are left out. make: returns an engine that has not
    started. too_slow: key of the reason when fewer than two were measured. Raises EngineError.
    """
    speeds: list[list[float]] = [[] for _ in specs]
    drafted, accepted = [0] * len(specs), [0] * len(specs)
    order = range(len(specs))
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            for number in (*order, *reversed(order)):
                finished = await _write(make(specs[number]))
                if finished.timings.tok_per_s:
                    speeds[number].append(finished.timings.tok_per_s)
                drafted[number] += int(finished.engine.get("draft_tokens", 0))
                accepted[number] += int(finished.engine.get("draft_accepted", 0))
    reached = [number for number in order if speeds[number]]
    if len(reached) < 2:
        raise EngineError(reason=Reason(too_slow, seconds=int(limit_s)))
    return {
        number: StartSpeed(
            median(speeds[number]), accepted[number] / drafted[number] if drafted[number] else 0.0
        )
        for number in reached
    }


async def write_to_end(engine: Engine, request: GenerationRequest) -> Finished:
    """Have an answer written and return how it ended. Raises EngineError, also when the stream breaks off."""
    finished: Finished | None = None
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Finished):
                finished = event
    if finished is None:
        raise EngineError(reason=Reason("errors.reason.ended_early"))
    return finished


async def _write(engine: OwnedEngine) -> Finished:
    """Write the text once and end the engine."""
    try:
        return await write_to_end(engine, COPY_REQUEST)
    finally:
        await engine.close()
