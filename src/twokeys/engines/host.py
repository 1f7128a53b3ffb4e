"""Holds the engine that answers now and swaps it when another model is chosen.

It does not know how engines are made: the composition root passes `make`. Another engine may stand
in for a while (a worker with more slots, for a comparison): only one of the two ever runs, and asking
for the active engine (`ready`) ends the one that stands in. Swapping and releasing
belong to the loop that the engines run on; the questions may come from any thread.
"""

import threading
from collections.abc import Callable
from typing import Any

from twokeys.engine import OwnedEngine
from twokeys.errors import ModelError, ModelMissing
from twokeys.types import Answering, ReleaseReport


class EngineHost:
    """One active engine at a time, built by `make(name)` when it is first needed.

    make: returns an engine that has not started anything; raises ModelError when there is none.
    name: a model's name, path or URL; None while no model is chosen.
    """

    def __init__(self, make: Callable[[str], OwnedEngine], name: str | None = None) -> None:
        self._make = make
        self._name = name
        self._engine: OwnedEngine | None = None
        self._stand_in: OwnedEngine | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str | None:
        return self._name

    @property
    def engine(self) -> OwnedEngine:
        """The active engine, built now if need be. Raises ModelMissing when no model is chosen."""
        with self._lock:
            if self._engine is None:
                if self._name is None:
                    raise ModelMissing(name="")
                self._engine = self._make(self._name)
            return self._engine

    async def use(self, name: str) -> OwnedEngine:
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
        await self.end_stand_in()
        if former is not None:
            await former.close()
        return engine

    async def ready(self) -> OwnedEngine:
        """Return the active engine, not necessarily started. Raises ModelMissing when there is none."""
        await self.end_stand_in()
        return self.engine

    async def drafting(self, name: str) -> OwnedEngine:
        """Return the active engine, which drafts as it does: here nobody knows how to start it otherwise."""
        return await self.ready()

    @property
    def stand_in(self) -> OwnedEngine | None:
        """The engine that works in the active one's place now, None when none does."""
        return self._stand_in

    async def let_stand_in(self, engine: OwnedEngine) -> None:
        """Let `engine`, of the same model, work until the active one is asked for again.

        The active one's process ends first: two never share the memory.
        """
        await self.end_stand_in()
        if self._engine is not None:
            await self._engine.release()
        self._stand_in = engine

    async def end_stand_in(self) -> None:
        """End the engine that stands in, if there is one."""
        engine, self._stand_in = self._stand_in, None
        if engine is not None:
            await engine.close()

    def current(self) -> OwnedEngine | None:
        """Return the engine that works now when one was built, without building one."""
        return self._engine if self._stand_in is None else self._stand_in

    def running(self) -> bool:
        """Return whether asking the engine that works now costs no start."""
        return bool(getattr(self.current(), "running", False))

    def expected(self) -> Answering | None:
        """Return what would answer, as far as it is known without starting anything."""
        try:
            tell: Any = getattr(self.engine, "expected", None)
        except ModelError:
            return None
        answering: Answering | None = tell() if callable(tell) else None
        return answering

    async def release(self) -> ReleaseReport:
        """End the local process and return what came back; the next request starts it again."""
        reports = [await part.release() for part in (self._stand_in, self._engine) if part is not None]
        await self.end_stand_in()
        return ReleaseReport(
            sum(report.before_bytes for report in reports),
            sum(report.after_bytes for report in reports),
            sum(report.freed_bytes for report in reports),
        )

    async def close(self) -> None:
        """End everything; the host can be used again after `use`."""
        await self.end_stand_in()
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()
