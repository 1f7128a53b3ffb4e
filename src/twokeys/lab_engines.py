"""Engines for studies: the chat's own where it fits, else one more, and only one at a time; or servers.

Part of the composition. A worker of the lab's own is started only after the chat's was ended, so
that two models never share the memory; the chat's starts again with the next message. Used from the
job manager's loop only, but for `memory_bytes`.
"""

import asyncio
import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from twokeys.config import Config
from twokeys.core.jobs import ENGINE_QUEUE
from twokeys.core.memory.drafts import OFF
from twokeys.core.study.cell import Setup
from twokeys.core.study.fleet import Fleet, FleetSpec, Member, NodePlan
from twokeys.engine import OwnedEngine
from twokeys.engine_source import remote_engine
from twokeys.engines.cores import usable_cores
from twokeys.engines.host import EngineHost
from twokeys.engines.local import LocalEngine
from twokeys.engines.pool import PoolEngine
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import place_of
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.models import catalogue
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner
from twokeys.types import WorkerSpec


class LabEngines:
    """Fulfils core.study.fleet.EnginePool.

    make(setup, slots): builds an engine of the lab's own that has not started anything.
    """

    def __init__(self, host: EngineHost, make: Callable[[Setup, int | None], OwnedEngine]) -> None:
        self._host = host
        self._make = make
        self._own: OwnedEngine | None = None
        self._own_as: tuple[Setup, int | None] | None = None

    async def engine(self, setup: Setup, slots: int | None) -> OwnedEngine:
        """Return the engine, not necessarily started. Raises ModelError, BadInput or MemoryPlanRefused."""
        if self._host.expected() is None and (active := self._host.current()) is not None:
            await active.info()  # a server tells its slots only when it is asked
        if self._usual(setup, slots):
            await self.release()
            return await self._host.drafting("off")  # a study promises seeds and measures probabilities
        wanted = (setup, slots)
        if self._own is None or self._own_as != wanted:
            await self.release()
            if self._host.running():
                await self._host.release()
            self._own = await asyncio.to_thread(self._make, setup, slots)
            self._own_as = wanted
        elif self._host.running():
            await self._host.release()
        return self._own

    async def release(self) -> None:
        """End the lab's own engine; the chat's stays."""
        own, self._own, self._own_as = self._own, None, None
        if own is not None:
            await own.close()

    async def restart(self, setup: Setup, slots: int | None) -> OwnedEngine:
        """End the process that is wanted, so that the next answer starts it afresh."""
        engine = await self.engine(setup, slots)
        await engine.release()
        return engine

    def memory_bytes(self) -> int:
        """Return the memory of the engine that works now, 0 when it does not tell."""
        engine = self._own if self._own is not None else self._host.current()
        measure = getattr(engine, "memory_bytes", None)
        return int(measure()) if callable(measure) else 0

    def gpu_layers(self) -> int:
        """Return the layers of the engine that works now that are on a card, -1 all; 0 when unknown."""
        engine = self._own if self._own is not None else self._host.current()
        return engine.spec.gpu_layers if isinstance(engine, LocalEngine) else 0

    def _usual(self, setup: Setup, slots: int | None) -> bool:
        """Whether the chat's engine is what is wanted already."""
        if setup.usual and slots is None:
            return True
        expected = self._host.expected()
        if expected is None:
            return False
        if expected.spec is None:
            own_start = setup.context is None and setup.kv_type is None and not setup.drafts
            return own_start and setup.model in (None, expected.model) and (slots or 1) <= expected.slots
        return (
            setup.model in (None, expected.model)
            and setup.context in (None, expected.context)
            and setup.kv_type in (None, expected.spec.kv_type)
            and not setup.drafts
            and slots in (None, expected.slots)
        )


class ServerPool:
    """One server of a study that runs on several: fulfils core.study.fleet.EnginePool."""

    def __init__(self, engine: OwnedEngine) -> None:
        self._engine = engine

    async def engine(self, setup: Setup, slots: int | None) -> OwnedEngine:
        return self._engine

    async def restart(self, setup: Setup, slots: int | None) -> OwnedEngine:
        """A server of somebody else is not started anew."""
        return self._engine

    async def release(self) -> None:
        """Close the connection; the server stays."""
        await self._engine.close()

    def memory_bytes(self) -> int:
        return 0

    def gpu_layers(self) -> int:
        return 0


class ServerFleet:
    """Running servers for one study, by their addresses. make: returns a server's engine.

    chats: the addresses of servers that answer the chat; there the chat comes first.
    """

    def __init__(
        self, urls: Sequence[str], make: Callable[[str], OwnedEngine], chats: Collection[str] = ()
    ) -> None:
        self._members = tuple(
            Member(
                url,
                ServerPool(make(url)),
                ENGINE_QUEUE if url in chats else f"engine {url}",
                shared=url in chats,
            )
            for url in urls
        )

    @property
    def members(self) -> Sequence[Member]:
        return self._members

    async def plan(self) -> Sequence[NodePlan]:
        """Servers run already."""
        return ()

    async def close(self) -> None:
        """Nothing beyond the members' own ends."""


def make_fleet(
    spec: FleetSpec, host: EngineHost, config: Config, usual: WorkerSpec | None, models: ModelManager
) -> Fleet:
    """Return the engines that a study asks for; nothing is started. usual: the chat's worker, whose model a
    cluster's workers run.

    Raises BadParameter for a bad address, and BadInput without Ray or without a model to run on it.
    """
    if spec.ray is not None:
        return _ray_fleet(spec, usual, models)
    chats = {place_of(url) for url in _chat_servers(host.current())}
    shared = [url for url in spec.servers if place_of(url) in chats]
    return ServerFleet(spec.servers, lambda url: remote_engine(url, config), shared)


def ray_is_installed() -> bool:
    """Return whether a study can run on a Ray cluster from here."""
    return importlib.util.find_spec("ray") is not None


def _ray_fleet(spec: FleetSpec, usual: WorkerSpec | None, models: ModelManager) -> Fleet:
    try:
        from twokeys.cluster.fleet import RayFleet
        from twokeys.cluster.worker import WorkerOrder, open_engine, plan_node
    except ImportError as exc:
        raise BadInput(reason=Reason("lab.fleet.no_ray")) from exc
    if usual is None:
        raise BadInput(reason=Reason("lab.fleet.ray_needs_model"))
    sha256 = usual.model_sha256 or models.checksum(usual.model_path)
    order = WorkerOrder(_name_on_nodes(usual), sha256, spec.cpus, spec.gpus)
    return RayFleet(spec, partial(open_engine, order), partial(plan_node, order))


def _name_on_nodes(spec: WorkerSpec) -> str:
    """Return what a node finds a model by: the catalogue's name, else a path that all nodes share."""
    try:
        return catalogue.find(spec.model_name).name
    except NotFound:
        return spec.model_path


def _chat_servers(engine: OwnedEngine | None) -> list[str]:
    """Return the addresses of the servers that answer the chat."""
    members = engine.members if isinstance(engine, PoolEngine) else (engine,)
    return [member.url for member in members if isinstance(member, RemoteEngine)]


def make_lab_engine(
    setup: Setup,
    slots: int | None,
    *,
    usual: WorkerSpec | None,
    models: ModelManager,
    memory: MemoryPlanner,
    config: Config,
) -> OwnedEngine:
    """Return an engine, not started, as a study's cell wants it. `usual`: the chat's worker.

    Raises ModelMissing or NotFound, BadInput when a server's memory is to be changed, and
    MemoryPlanRefused when it cannot fit.
    """
    name = setup.model or (usual.model_name if usual else None)
    if name is None or name.startswith(("http://", "https://")):
        if setup.context or setup.kv_type or setup.drafts:
            raise BadInput(reason=Reason("lab.remote_setup"))
        if name is None:
            raise BadInput(reason=Reason("lab.remote_slots"))
        return remote_engine(name, config)
    spec = usual if usual is not None and setup.model is None else memory.spec(models.resolve(name))
    spec = replace(
        spec,
        context=setup.context or spec.context,
        kv_type=setup.kv_type or spec.kv_type,
        parallel=slots or spec.parallel,
        model_sha256=spec.model_sha256 or models.checksum(spec.model_path),
        draft=memory.draft(spec.model_path, setup.draft or OFF, parallel=slots or 1, batch=spec.batch),
    )
    workers = parallel_workers(spec, slots or 1, memory)
    if workers:
        return PoolEngine([LocalEngine(worker, config.run_dir, config.logs_dir) for worker in workers])
    return LocalEngine(memory.respec(spec, chosen=False), config.run_dir, config.logs_dir)


def parallel_workers(spec: WorkerSpec, slots: int, memory: MemoryPlanner) -> list[WorkerSpec]:
    """Return a worker for each slot, where that is the faster way; empty where one worker with slots is.

    On a processor workers with threads of their own do not wait for each other (benchmarks/pool.py); each
    holds the model, so memory must allow it. A card batches, and is shared by no two processes.
    """
    cores = spec.threads or usable_cores()
    if not 1 < slots <= cores or spec.gpu_layers != 0 or spec.draft is not None:
        return []
    alone = replace(spec, parallel=1, threads=cores // slots)
    plan = memory.of_spec(alone)
    if plan.needs.total_bytes * slots > plan.room.host_bytes - plan.margin_bytes:
        return []
    return [alone] * slots
