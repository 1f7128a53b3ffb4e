"""Holds the engine that answers now and swaps it when another model is chosen.

It does not know how engines are made: the composition root passes `make`. Swapping and releasing
belong to the loop that the engines run on; the questions may come from any thread.
"""

import threading
from collections.abc import Callable
from typing import Any

from twokeys.engines.base import Engine
from twokeys.errors import ModelError, ModelMissing
from twokeys.types import EngineInfo, ReleaseReport, WorkerSpec


class EngineHost:
    """One active engine at a time, built by `make(name)` when it is first needed.

    make: returns an engine that has not started anything; raises ModelError when there is none.
    name: a model's name, path or URL; None while no model is chosen.
    """

    def __init__(self, make: Callable[[str], Engine], name: str | None = None) -> None:
        self._make = make
        self._name = name
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str | None:
        return self._name

    @property
    def engine(self) -> Engine:
        """The active engine, built now if need be. Raises ModelMissing when no model is chosen."""
        with self._lock:
            if self._engine is None:
                if self._name is None:
                    raise ModelMissing(name="")
                self._engine = self._make(self._name)
            return self._engine

    async def use(self, name: str) -> Engine:
        """Make `name` the active model and return its engine; the former one is closed.

        When the new one cannot be made the former stays. Answers still being written by the
        former end as cancelled.
        """
        with self._lock:
            former = self._engine
            if former is not None and name == self._name:
                return former
            engine = self._make(name)
            self._engine, self._name = engine, name
        if former is not None:
            await former.close()
        return engine

    async def ready(self) -> Engine:
        """Return the active engine, not necessarily started. Raises ModelMissing when there is none."""
        return self.engine

    def current(self) -> Engine | None:
        """Return the engine when one was built, without building one."""
        return self._engine

    def running(self) -> bool:
        """Return whether asking the engine now costs no start."""
        return bool(getattr(self._engine, "running", False))

    def expected(self) -> WorkerSpec | EngineInfo | None:
        """Return what would answer, as far as it is known without starting anything."""
        try:
            tell: Any = getattr(self.engine, "expected", None)
        except ModelError:
            return None
        told: WorkerSpec | EngineInfo | None = tell() if callable(tell) else None
        return told

    async def release(self) -> ReleaseReport:
        """End the local process and return what came back; the next request starts it again."""
        engine = self._engine
        return ReleaseReport(0, 0, 0) if engine is None else await engine.release()

    async def close(self) -> None:
        """End everything; the host can be used again after `use`."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()
