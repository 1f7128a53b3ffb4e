"""The guard on a real model: a loop that really happens, and a worker process that really stops."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from twokeys.core.guard import Guard
from twokeys.engines.local import LocalEngine
from twokeys.types import ChatMessage, Delta, GenerationRequest, GuardEvent, Sampling, WorkerSpec

from .reading import of_kind

QUESTION = "List 200 reasons to read books."
GREEDY = Sampling(temperature=0.0, max_new_tokens=600, top_p=1.0, top_k=0, repetition_penalty=1.0, seed=1)


def with_engine(smollm2: Path, home: Path, act: Callable[[LocalEngine], Awaitable[None]]) -> None:
    async def run() -> None:
        spec = WorkerSpec(model_path=str(smollm2), model_name="smollm2-135m", context=2048, threads=1)
        engine = LocalEngine(spec, home / "run", home / "logs")
        try:
            await act(engine)
        finally:
            await engine.close()

    asyncio.run(run())


async def deltas(engine: LocalEngine, n_probs: int = 0) -> AsyncIterator[Delta]:
    request = GenerationRequest((ChatMessage("user", QUESTION),), GREEDY, n_probs=n_probs)
    async with aclosing(engine.generate(request)) as events:  # type: ignore[type-var]
        async for event in events:
            if isinstance(event, Delta):
                yield event


@pytest.mark.slow
def test_greedy_loop_of_a_real_model_is_stopped_and_cut_at_a_sentence(smollm2: Path, home: Path) -> None:
    guard = Guard({}, QUESTION)
    text, reported = "", list[GuardEvent]()

    async def act(engine: LocalEngine) -> None:
        nonlocal text
        count = 0
        async with aclosing(deltas(engine, n_probs=5)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                text += delta.text
                count += len(delta.token_ids) or 1
                reported.extend(guard.on_token(delta.text, count, len(text), delta.probs, time.monotonic()))
                if guard.cut is not None:
                    return

    with_engine(smollm2, home, act)
    levels = [event.level for event in of_kind(reported, "loop")]
    assert levels[-1] == "stop", text[-600:]
    assert guard.cut is not None
    retained = text[: guard.cut.at_char]
    assert retained.rstrip()[-1] in '.!?:"”' or "\n" in text[len(retained) : len(retained) + 2]
    assert len(retained) < len(text)
    assert guard.report()["uncertainty"]["tokens"] > 50


@pytest.mark.slow
def test_stopped_worker_process_is_a_stall_and_a_hung_engine(smollm2: Path, home: Path) -> None:
    guard = Guard({"loop": "off"}, QUESTION)
    reported: list[GuardEvent] = []

    async def act(engine: LocalEngine) -> None:
        count = chars = 0
        async with aclosing(deltas(engine)) as stream:  # type: ignore[type-var]
            async for delta in stream:
                count += 1
                chars += len(delta.text)
                reported.extend(guard.on_token(delta.text, count, chars, (), time.monotonic()))
                if count == 20:
                    break
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(2.3)
                reported.extend(guard.on_tick(time.monotonic()))
                assert guard.wants_probe(time.monotonic())
                reported.extend(guard.report_health(await engine.healthy(), time.monotonic()))
            finally:
                os.kill(engine.pid, signal.SIGCONT)
            async for delta in stream:
                chars += len(delta.text)
                reported.extend(guard.on_token(delta.text, count + 1, chars, (), time.monotonic()))
                if not guard.stalled:
                    break

    with_engine(smollm2, home, act)
    assert [event.data["state"] for event in of_kind(reported, "stall")] == ["begun", "engine_hung", "over"]
