"""Engines for comparisons: a worker with a slot for each column, where the memory plan allows it.

Part of the composition. It stands in for the chat's worker, which ends first, and stays until a chat
message needs its own again: another comparison, or going on with a column, then costs no start.
"""

import asyncio
from dataclasses import replace

from twokeys.config import Config
from twokeys.core.compare.column_engines import Prospect
from twokeys.core.compare.comparison import Sharing
from twokeys.core.memory.plan import MemoryPlan
from twokeys.engine import SlotEngine
from twokeys.engines.host import EngineHost
from twokeys.engines.local import AnswerFacts, LocalEngine
from twokeys.errors import TwoKeysError
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner, rlimit_bytes
from twokeys.types import Answering, WorkerSpec


class CompareEngines:
    """Fulfils core.compare.column_engines.ColumnEngines."""

    def __init__(
        self,
        host: EngineHost,
        models: ModelManager,
        memory: MemoryPlanner,
        config: Config,
        more_facts: AnswerFacts | None = None,
    ) -> None:
        self._host = host
        self._models = models
        self._memory = memory
        self._config = config
        self._more_facts = more_facts

    def prospect(self, slots: int, context: int) -> Prospect:
        """See ColumnEngines.prospect."""
        expected = self._host.expected()
        if expected is not None and expected.spec is not None:
            if _suits(expected.spec, slots, context):
                return Prospect("cloned")
            plan = self._plan(_parallel(expected.spec, slots, context))
            if plan is None:
                return Prospect("cached")
            sharing: Sharing = "cloned" if plan.fits else "cached"
            return Prospect(sharing, plan.needs.total_bytes, plan.available_bytes)
        if expected is None or not expected.local:
            return Prospect("none")
        return Prospect("cloned" if self._usual(expected, slots, context) else "cached")

    async def parallel(self, slots: int, context: int) -> SlotEngine | None:
        """See ColumnEngines.parallel."""
        expected = await asyncio.to_thread(self._host.expected)
        if expected is None or expected.spec is None:
            return self._usual(expected, slots, context)
        if _suits(expected.spec, slots, context):
            engine = await self._host.ready()
            return engine if isinstance(engine, LocalEngine) else None
        standing = self.standing(slots, context)
        if standing is not None:
            return standing
        spec = _parallel(expected.spec, slots, context)
        plan = await asyncio.to_thread(self._plan, spec)
        if plan is None or not plan.fits:
            return None
        if spec.model_sha256 is None:
            sha256 = await asyncio.to_thread(self._models.checksum, spec.model_path)
            spec = replace(spec, model_sha256=sha256)
        if spec.memory_limit_bytes is not None:
            spec = replace(spec, memory_limit_bytes=rlimit_bytes(plan, spec.threads))
        engine = LocalEngine(spec, self._config.run_dir, self._config.logs_dir, more_facts=self._more_facts)
        await self._host.let_stand_in(engine)
        return engine

    def standing(self, slots: int, context: int) -> SlotEngine | None:
        """See ColumnEngines.standing."""
        engine, expected = self._host.stand_in, self._host.expected()
        if not isinstance(engine, LocalEngine) or expected is None or expected.spec is None:
            return None
        same = _parallel(expected.spec, engine.spec.parallel, engine.spec.context)
        same = replace(
            same,
            model_sha256=engine.spec.model_sha256,
            memory_limit_bytes=engine.spec.memory_limit_bytes,
        )
        return engine if same == engine.spec and _suits(engine.spec, slots, context) else None

    def _usual(self, expected: Answering | None, slots: int, context: int) -> SlotEngine | None:
        """Return the active engine when it is one of ours that is no worker and has the slots."""
        engine = self._host.current()
        if expected is None or not expected.local or not isinstance(engine, SlotEngine):
            return None
        return engine if expected.slots >= slots and expected.context >= context else None

    def _plan(self, spec: WorkerSpec) -> MemoryPlan | None:
        try:
            return self._memory.of_spec(spec)
        except TwoKeysError:
            return None  # the model's file is gone or broken: starting it will tell


def _suits(spec: WorkerSpec, slots: int, context: int) -> bool:
    return spec.parallel >= slots and spec.context >= context


def _parallel(usual: WorkerSpec, slots: int, context: int) -> WorkerSpec:
    """Return the chat's worker with a slot for each column, and no more context than they need."""
    return replace(usual, parallel=slots, context=context, prompt_cache_mib=0, draft=None)
