"""A study's workers in a Ray cluster: started when they are first asked, ended with the study.

Which node a worker runs on is Ray's choice, by the cores and cards that each asks for; one that died is
started again, on another node where need be. Only this process stores anything.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import ray

from twokeys.cluster.engine import WorkerEngine
from twokeys.cluster.worker import EngineWorker
from twokeys.core.study.cell import Setup
from twokeys.core.study.fleet import FleetSpec, Member, NodePlan
from twokeys.engine import OwnedEngine
from twokeys.errors import EngineStartFailed, Reason

OPEN_S = 600.0
"""A worker may have to fetch its model first."""

PLAN_S = 60.0
LOCAL = "local"


class WorkerPool:
    """One worker, for a study: fulfils core.study.fleet.EnginePool."""

    def __init__(self, fleet: "RayFleet", make: Callable[[], OwnedEngine], plan: Any) -> None:
        self._fleet = fleet
        self._make = make
        self._plan = plan
        self._worker: Any = None
        self._starting = asyncio.Lock()
        self.worker_engine = WorkerEngine(self._handle)

    async def engine(self, setup: Setup, slots: int | None) -> WorkerEngine:
        return self.worker_engine

    async def restart(self, setup: Setup, slots: int | None) -> WorkerEngine:
        """End the engine's process, so that the next answer starts it afresh."""
        await self.worker_engine.release()
        return self.worker_engine

    async def release(self) -> None:
        """End the worker, if it was started."""
        worker, self._worker = self._worker, None
        if worker is not None:
            ray.kill(worker, no_restart=True)

    def lose(self) -> None:
        """End the worker's process; Ray starts another."""
        if self._worker is not None:
            ray.kill(self._worker, no_restart=False)

    def memory_bytes(self) -> int:
        return self.worker_engine.memory_bytes()

    def gpu_layers(self) -> int:
        return 0

    async def _handle(self) -> Any:
        async with self._starting:
            if self._worker is None:
                await self._fleet.connect()
                self._worker = self._fleet.start(self._make, self._plan)
            return self._worker


class RayFleet:
    """Fulfils core.study.fleet.Fleet. make: builds an engine, on its node; plan: what that would mean."""

    def __init__(
        self,
        spec: FleetSpec,
        make: Callable[[], OwnedEngine],
        plan: Callable[[], NodePlan] | None = None,
    ) -> None:
        self._spec = spec
        self._connected = False
        self._connecting = asyncio.Lock()
        self._pools = [WorkerPool(self, make, plan) for _ in range(spec.workers)]
        self._members = tuple(
            Member(f"worker {number}", pool, f"engine worker {number}", open_s=OPEN_S)
            for number, pool in enumerate(self._pools, 1)
        )

    @property
    def members(self) -> Sequence[Member]:
        return self._members

    async def plan(self) -> list[NodePlan]:
        """Return what a start would mean on each worker's node, of those that got one in time."""
        asked = [asyncio.ensure_future(pool.worker_engine.plan()) for pool in self._pools]
        done, late = await asyncio.wait(asked, timeout=PLAN_S)
        for task in late:
            task.cancel()
        return [task.result() for task in asked if task in done]

    async def close(self) -> None:
        """End the workers, and the connection where it was made here."""
        await asyncio.gather(*(pool.release() for pool in self._pools))
        if self._connected:
            self._connected = False
            await asyncio.to_thread(ray.shutdown)

    def lose_workers(self) -> None:
        """End every worker's process as a fault would; Ray starts others in their place."""
        for pool in self._pools:
            pool.lose()

    async def connect(self) -> None:
        """Start Ray here, or join the cluster, unless that is done. Raises EngineStartFailed."""
        async with self._connecting:
            if not ray.is_initialized():
                await asyncio.to_thread(self._connect)
                self._connected = True

    def start(self, make: Callable[[], OwnedEngine], plan: Callable[[], NodePlan] | None) -> Any:
        """Return a new worker; Ray finds it a node."""
        worker = ray.remote(EngineWorker)
        limits = {"num_cpus": self._spec.cpus, "num_gpus": self._spec.gpus, "max_restarts": -1}
        return worker.options(**limits).remote(make, plan)

    def _connect(self) -> None:
        from ray._private import worker

        worker._worker_logs_enabled = False  # else it prints of lost nodes on stdout, between our JSON
        logging.getLogger("ray").setLevel(logging.ERROR)  # it speaks of signal handlers and versions
        quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        try:
            if self._spec.ray == LOCAL:
                ray.init(address=LOCAL, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
            else:
                ray.init(address=self._spec.ray, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
            reason = Reason("lab.fleet.no_cluster", address=self._spec.ray or "", why=str(exc)[:200])
            raise EngineStartFailed(reason=reason, log="") from exc
