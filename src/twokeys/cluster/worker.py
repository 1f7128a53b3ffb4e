"""What runs on a node of the cluster: one engine, its model looked for there, and what a start would need.

Errors go back as they are stored, {"code", "params"}: values, which every process can read. Knows no studies
and writes nothing down.
"""

import asyncio
import logging
import platform
import shutil
import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twokeys.config import load_config, prepare_home
from twokeys.core.study.fleet import NodePlan
from twokeys.engine import OwnedEngine
from twokeys.engine_source import home_planner
from twokeys.engines.local import LocalEngine
from twokeys.errors import DiskFull, ModelBroken, ModelMissing, Reason, TwoKeysError, unexpected
from twokeys.models import catalogue
from twokeys.models.manager import ModelManager
from twokeys.types import ChatMessage, EngineInfo, GenerationRequest

log = logging.getLogger(__name__)

ENOUGH_EVENTS = 64
"""So many events at most go in one piece."""


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker is to run. model: a name, or a path that is the same on every node; sha256: what its
    file must have. cpus: threads of an engine on the processor; gpus: cards, 0 for none."""

    model: str
    sha256: str | None
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What comes back instead of a value when something failed. error: {"code", "params"}."""

    error: Mapping[str, Any]


class EngineWorker:
    """One engine on one node. make: builds it there at its first use. plan: what a start would mean."""

    def __init__(self, make: Callable[[], OwnedEngine], plan: Callable[[], NodePlan] | None = None) -> None:
        self._make = make
        self._plan = plan
        self._engine: OwnedEngine | None = None
        self._making = asyncio.Lock()
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def plan(self) -> NodePlan:
        """Return what a start here would mean; nothing is started or fetched."""
        if self._plan is None:
            return NodePlan(socket.gethostname(), device_name())
        return await asyncio.to_thread(self._plan)

    async def info(self) -> EngineInfo | Failure:
        """Start the engine and return what it is."""
        try:
            info = await (await self._ready()).info()
        except TwoKeysError as error:
            return Failure(error.stored())
        return replace(info, device=f"{socket.gethostname()}, {info.device or device_name()}")

    async def healthy(self) -> bool:
        return self._engine is not None and await self._engine.healthy()

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str) -> int | Failure:
        try:
            return await (await self._ready()).count_prompt(messages, prefix)
        except TwoKeysError as error:
            return Failure(error.stored())

    async def tokenize(self, text: str) -> list[int] | Failure:
        try:
            return await (await self._ready()).tokenize(text)
        except TwoKeysError as error:
            return Failure(error.stored())

    def memory_bytes(self) -> int:
        measure = getattr(self._engine, "memory_bytes", None)
        return int(measure()) if callable(measure) else 0

    async def release(self) -> None:
        if self._engine is not None:
            await self._engine.release()

    async def generate(self, request: GenerationRequest, key: str) -> AsyncGenerator[list[Any], None]:
        """Write an answer; yields its events in pieces, and a Failure where it fails. key: for `stop`."""
        events: asyncio.Queue[Any] = asyncio.Queue()
        writing = asyncio.create_task(self._write(request, events))
        self._writing[key] = writing
        try:
            ended = False
            while not ended:
                piece = [await events.get()]
                while len(piece) < ENOUGH_EVENTS and not events.empty():
                    piece.append(events.get_nowait())
                ended = piece[-1] is None
                if any(event is not None for event in piece):
                    yield [event for event in piece if event is not None]
        finally:
            self._writing.pop(key, None)
            writing.cancel()

    async def stop(self, key: str) -> None:
        """End an answer; its slot is free."""
        writing = self._writing.get(key)
        if writing is not None:
            writing.cancel()

    async def _write(self, request: GenerationRequest, events: "asyncio.Queue[Any]") -> None:
        try:
            async with aclosing((await self._ready()).generate(request)) as stream:
                async for event in stream:
                    events.put_nowait(event)
        except TwoKeysError as failure:
            events.put_nowait(Failure(failure.stored()))
        except Exception as failure:
            log.exception("an answer failed")  # and the other side has to hear of it
            events.put_nowait(Failure(unexpected(failure)))
        finally:
            events.put_nowait(None)

    async def _ready(self) -> OwnedEngine:
        async with self._making:
            if self._engine is None:
                self._engine = await asyncio.to_thread(self._make)
            return self._engine


def device_name() -> str:
    """Return what the node computes with, as its system tells."""
    return platform.processor() or platform.machine()


def open_engine(order: WorkerOrder) -> OwnedEngine:
    """Return an engine for this node; its model is fetched when it is not here, and its digest checked.

    Raises ModelMissing, ModelBroken, DownloadFailed, DiskFull or MemoryPlanRefused.
    """
    config = load_config()
    prepare_home(config)
    models = ModelManager(config)
    try:
        model = models.resolve(order.model)
    except ModelMissing:
        model = models.pull(order.model)
    digest = models.checksum(order.model)
    if order.sha256 and digest != order.sha256:
        reason = Reason("lab.fleet.other_file", there=digest, wanted=order.sha256)
        raise ModelBroken(name=order.model, reason=reason)
    memory = home_planner(config, models=models)
    spec = replace(memory.spec(model), model_sha256=digest)
    if not order.gpus:
        spec = replace(spec, gpu_layers=0, threads=max(1, int(order.cpus)))
    return LocalEngine(memory.respec(spec, chosen=False), config.run_dir, config.logs_dir)


def plan_node(order: WorkerOrder) -> NodePlan:
    """Return what `open_engine` would mean here; nothing is started or fetched."""
    config = load_config()
    models = ModelManager(config)
    place = NodePlan(socket.gethostname(), device_name(), free_disk_bytes=_free_disk(config.home))
    try:
        model = models.resolve(order.model)
        memory = home_planner(config, models=models)
        spec = memory.spec(model) if order.gpus else replace(memory.spec(model), gpu_layers=0)
        plan = memory.of_spec(spec)
        place = replace(place, needed_bytes=plan.needs.total_bytes, free_bytes=plan.available_bytes)
        memory.respec(spec, chosen=False)
    except ModelMissing:
        size = catalogue.find(order.model).bytes
        full = DiskFull(needed_bytes=size, free_bytes=place.free_disk_bytes, path=str(config.home))
        error = full.stored() if size > place.free_disk_bytes else None
        return replace(place, missing_bytes=size, error=error)
    except TwoKeysError as error:
        return replace(place, error=error.stored())
    return place


def _free_disk(home: Path) -> int:
    present = next(folder for folder in (home, *home.parents) if folder.exists())
    return shutil.disk_usage(present).free
