"""Whether drafting is faster on this machine: a text copied with and without it, in 30 seconds.

The text is one that drafts are for; what does not gain here gains nowhere. Nothing is kept here.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from statistics import median

from twokeys.engine import Engine, OwnedEngine
from twokeys.errors import EngineError, Reason
from twokeys.types import ChatMessage, Draft, Finished, GenerationRequest, Sampling, WorkerSpec

LIMIT_S = 30.0
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
class DraftTrial:
    """What came of a trial: tokens per second without and with drafts, and the share that was accepted."""

    name: str
    without_tok_per_s: float
    with_tok_per_s: float
    accepted: float

    @property
    def gain(self) -> float:
        return self.with_tok_per_s / self.without_tok_per_s

    @property
    def faster(self) -> bool:
        """Whether it is worth having."""
        return self.gain >= ENOUGH


async def try_draft(
    make: Callable[[WorkerSpec], OwnedEngine], spec: WorkerSpec, draft: Draft, limit_s: float = LIMIT_S
) -> DraftTrial:
    """Start one engine after the other, as memory is planned for one, and measure both.

    make: returns an engine that has not started. Raises EngineError, also where the time was too short for a
    first measurement of both.
    """
    speeds: dict[bool, list[float]] = {False: [], True: []}
    counts = [0, 0]
    try:
        async with asyncio.timeout(limit_s):
            for drafting in (False, True, True, False):
                finished = await _write(make(replace(spec, draft=draft if drafting else None)))
                if finished.timings.tok_per_s:
                    speeds[drafting].append(finished.timings.tok_per_s)
                counts[0] += int(finished.engine.get("draft_tokens", 0))
                counts[1] += int(finished.engine.get("draft_accepted", 0))
    except TimeoutError as exc:
        if not all(speeds.values()):
            raise EngineError(reason=Reason("drafts.refused.slow", seconds=int(limit_s))) from exc
    if not all(speeds.values()):
        raise EngineError(reason=Reason("drafts.refused.slow", seconds=int(limit_s)))
    accepted = counts[1] / counts[0] if counts[0] else 0.0
    return DraftTrial(draft.name, median(speeds[False]), median(speeds[True]), accepted)


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
