"""An engine on another node as if it were here: what is asked goes to its worker, events come back in pieces.

A worker that died, or whose node is gone, is an engine that died: Ray starts another in its place, which the
next question finds. Knows neither models nor studies.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from twokeys.cluster.worker import Failure
from twokeys.core.study.fleet import NodePlan
from twokeys.errors import EngineDied, Reason, read_stored
from twokeys.types import ChatMessage, EngineEvent, EngineInfo, GenerationRequest, ReleaseReport

HEALTH_S = 2.0


class WorkerEngine:
    """The engine of one worker: fulfils engine.OwnedEngine. handle: gives the worker, started if need be."""

    def __init__(self, handle: Callable[[], Awaitable[Any]]) -> None:
        self._handle = handle
        self._memory = 0

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate."""
        worker, key = await self._handle(), secrets.token_hex(8)
        ended = False
        try:
            async for piece in worker.generate.remote(request, key):
                for event in await piece:
                    if isinstance(event, Failure):
                        ended = True
                        raise read_stored(event.error)
                    yield event
            ended = True
            self._memory = await worker.memory_bytes.remote()
        except RayError as exc:
            ended = True
            raise _gone(exc) from exc
        finally:
            if not ended:
                worker.stop.remote(key)

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        return int(await self._ask("count_prompt", messages, prefix))

    async def tokenize(self, text: str) -> list[int]:
        return list(await self._ask("tokenize", text))

    async def info(self) -> EngineInfo:
        """See Engine.info; waits until the worker and its engine have started."""
        info: EngineInfo = await self._ask("info")
        return info

    async def plan(self) -> NodePlan:
        """Return what a start on the worker's node would mean."""
        plan: NodePlan = await self._ask("plan")
        return plan

    async def healthy(self) -> bool:
        try:
            async with asyncio.timeout(HEALTH_S):
                return bool(await self._ask("healthy"))
        except (TimeoutError, EngineDied):
            return False

    def memory_bytes(self) -> int:
        """Return what the engine held after its last answer."""
        return self._memory

    async def release(self) -> ReleaseReport:
        await self._ask("release")
        return ReleaseReport(self._memory, 0, self._memory)

    async def close(self) -> None:
        """End the worker and the engine with it; nothing is started in its place."""
        ray.kill(await self._handle(), no_restart=True)

    async def _ask(self, what: str, *values: object) -> Any:
        worker = await self._handle()
        try:
            answer = await getattr(worker, what).remote(*values)
        except RayError as exc:
            raise _gone(exc) from exc
        if isinstance(answer, Failure):
            raise read_stored(answer.error)
        return answer


def _gone(error: RayError) -> EngineDied:
    return EngineDied(
        reason=Reason("lab.fleet.worker_gone", kind=type(error).__name__), log=str(error)[-400:]
    )
