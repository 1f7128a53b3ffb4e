"""Engines for columns: what a comparison is promised, and which engine it gets, without starting any."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from twokeys.compare_engines import CompareEngines
from twokeys.config import Config, prepare_home
from twokeys.engines.host import EngineHost
from twokeys.engines.local import LocalEngine
from twokeys.engines.scripted import ScriptedEngine
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner
from twokeys.types import Answering, WorkerSpec

TOO_MANY = 200_000
"""Columns whose caches fit no machine."""


class Worker(ScriptedEngine):
    """Answers as a worker started by `spec` would say of itself."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.releases = 0

    def expected(self) -> Answering:
        return Answering.by_worker(self.spec)

    async def release(self) -> Any:
        self.releases += 1
        return await super().release()


def engines(home: Path, engine: ScriptedEngine) -> tuple[CompareEngines, EngineHost]:
    config = Config(home=home)
    prepare_home(config)
    models = ModelManager(config)
    values: dict[str, Any] = {}
    planner = MemoryPlanner(config, models, get=values.get, put=values.__setitem__)
    host = EngineHost(lambda name: engine, "model")
    assert host.engine is engine
    return CompareEngines(host, models, planner, config), host


@pytest.fixture
def spec(smollm2: Path) -> WorkerSpec:
    return WorkerSpec(str(smollm2), "smollm2-135m", "0" * 64, context=2048, prompt_cache_mib=64)


def test_a_worker_with_a_slot_a_column_stands_in_and_stays(home: Path, spec: WorkerSpec) -> None:
    worker = Worker(spec)
    compare, host = engines(home, worker)
    prospect = compare.prospect(3, 512)
    assert prospect.sharing == "cloned" and (prospect.needed_bytes or 0) > 0

    async def twice() -> tuple[Any, Any]:
        return await compare.parallel(3, 512), await compare.parallel(2, 400)

    first, second = asyncio.run(twice())
    assert isinstance(first, LocalEngine) and first is second is host.stand_in
    assert (first.spec.parallel, first.spec.context, first.spec.prompt_cache_mib) == (3, 512, 0)
    assert (first.running, worker.releases) == (False, 1), "two never share the memory"
    assert compare.standing(3, 512) is first and compare.standing(4, 512) is None


def test_another_model_in_the_meantime_makes_the_one_that_stands_in_useless(
    home: Path, spec: WorkerSpec, qwen: Path
) -> None:
    worker = Worker(spec)
    compare, _ = engines(home, worker)
    asyncio.run(compare.parallel(2, 256))
    worker.spec = WorkerSpec(str(qwen), "qwen2.5-coder-0.5b")
    assert compare.standing(2, 256) is None


def test_columns_that_fit_nowhere_are_read_one_after_another(home: Path, spec: WorkerSpec) -> None:
    compare, host = engines(home, Worker(spec))
    prospect = compare.prospect(TOO_MANY, 2048)
    assert prospect.sharing == "cached"
    assert (prospect.needed_bytes or 0) > (prospect.available_bytes or 0)
    assert asyncio.run(compare.parallel(TOO_MANY, 2048)) is None and host.stand_in is None


def test_a_model_whose_file_is_gone_promises_nothing_and_starts_nothing(home: Path) -> None:
    compare, _ = engines(home, Worker(WorkerSpec("/nowhere.gguf", "gone", context=512)))
    assert compare.prospect(3, 1024).sharing == "cached"
    assert asyncio.run(compare.parallel(3, 1024)) is None


@pytest.mark.parametrize(
    ("slots", "local", "sharing"), [(4, True, "cloned"), (1, True, "cached"), (4, False, "none")]
)
def test_an_engine_that_is_no_worker_is_used_as_it_is(
    home: Path, slots: int, local: bool, sharing: str
) -> None:
    engine = ScriptedEngine(slots=slots, local=local)
    compare, _ = engines(home, engine)
    assert compare.prospect(3, 1024).sharing == sharing
    assert asyncio.run(compare.parallel(3, 1024)) is (engine if sharing == "cloned" else None)
