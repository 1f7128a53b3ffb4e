"""Fixtures of the engine tests: real workers on the small model, one shared, others on demand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asking import MakeEngine
from fault_server import FaultServer, fault_server

from twokeys.engines.local import LocalEngine
from twokeys.types import WorkerSpec


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalEngine]:
    """One worker with two slots for all tests of a module that leave it running."""
    folder = tmp_path_factory.mktemp("engine")
    spec = WorkerSpec(str(smollm2), "smollm2-135m", context=2048, parallel=2, threads=1)
    shared = LocalEngine(spec, folder / "run", folder / "logs")
    yield shared
    await shared.close()


@pytest.fixture
async def make_engine(smollm2: Path, home: Path) -> AsyncIterator[MakeEngine]:
    """Make engines of one's own, all on one home; they are closed at the end."""
    made: list[LocalEngine] = []

    def make(on_exit: Any = None, **changes: Any) -> LocalEngine:
        values = {"model_path": str(smollm2), "model_name": "smollm2-135m", "context": 1024, "threads": 1}
        entry = LocalEngine(WorkerSpec(**(values | changes)), home / "run", home / "logs", on_exit=on_exit)
        made.append(entry)
        return entry

    yield make
    for version in made:
        await version.close()


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as running:
        yield running
