"""Long work that goes on while nobody looks: a study, a tuning, the writing of a text.

`Undertakings` holds what runs in this process, by the id of the document it belongs to, and a lock on
each that no second process of this home can take. One part of the house has one of these and says with
`Undertaking` what its work is.

Start: the lock is taken, then `prepare` does what may fail (stores "running", builds the work), and only
then is the work registered and begun. Whatever fails on the way leaves nothing behind: the lock is free,
and the next `start` tries again. End: the work calls `ended` once, however it ended; it is forgotten, its
lock is released and those who wait go on.

Does not cover what the work is, what it stores and how its state is called. Work that a killed process
left has a document that says "running" and a lock that is free: show it as paused, and `start` it again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from twokeys.errors import BadInput, Reason

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 0.5
"""Another process that looks whether a lock is held holds it for a moment itself."""


class Lock(Protocol):
    """A lock between processes; the operating system releases it when its holder dies."""

    def acquire(self, timeout_s: float) -> bool: ...

    def release(self, *, remove: bool = False) -> None: ...

    def held_elsewhere(self) -> bool: ...


class Undertaking(Protocol):
    """One long work. A pause at a good moment is a method of its own class."""

    def begin(self, ended: Callable[[], None]) -> None:
        """Start working and return at once; `ended` is called exactly once when all is over.

        Use `in_thread` or `LoopTask.begin`. When this raises, nothing was begun.
        """
        ...

    def stop(self, *, closing: bool = False) -> None:
        """Ask the work to end soon and return at once; what is finished stays. closing: the app ends.

        Called from any thread, and more than once.
        """
        ...


W = TypeVar("W", bound=Undertaking)


@dataclass(slots=True, eq=False)
class _Entry(Generic[W]):
    work: W
    lock: Lock
    ended: threading.Event = field(default_factory=threading.Event)


class Undertakings(Generic[W]):
    """The long works of one kind that run in this process.

    kind: begins the names of the locks. make_lock: returns the lock of a name. elsewhere: key of the
    text that says that another process works on it. on_ended: is told of every work that ended, when it
    is no longer registered.
    """

    def __init__(
        self,
        kind: str,
        make_lock: Callable[[str], Lock],
        *,
        elsewhere: str,
        on_ended: Callable[[str, W], object] = lambda key, work: None,
    ) -> None:
        self._kind = kind
        self._make_lock = make_lock
        self._elsewhere = elsewhere
        self._on_ended = on_ended
        self._entries: dict[str, _Entry[W]] = {}
        self._starting: set[str] = set()
        self._state = threading.Lock()
        self._closing = False

    def start(self, key: str, prepare: Callable[[], W]) -> bool:
        """Prepare and begin a work; False when it runs or starts here already, or the app is closing.

        Raises BadInput when another process of this home works on it, and whatever `prepare` raises.
        """
        with self._state:
            if self._closing or key in self._entries or key in self._starting:
                return False
            self._starting.add(key)
        try:
            lock = self._make_lock(f"{self._kind}-{key}")
            if not lock.acquire(LOCK_TIMEOUT_S):
                raise BadInput(reason=Reason(self._elsewhere))
            return self._begin(key, prepare, lock)
        finally:
            with self._state:
                self._starting.discard(key)

    def get(self, key: str) -> W | None:
        """Return the work that runs here, None when it does not."""
        entry = self._entries.get(key)
        return entry.work if entry is not None else None

    def keys(self) -> list[str]:
        """Return the ids of what runs here."""
        return list(self._entries)

    def runs_elsewhere(self, key: str) -> bool:
        """Return whether another process of this home works on it now."""
        if key in self._entries or key in self._starting:
            return False
        return self._make_lock(f"{self._kind}-{key}").held_elsewhere()

    def stop(self, key: str, wait_s: float = 10.0) -> bool:
        """Ask a work to end and wait for it; return whether it is over. Nothing runs: True."""
        entry = self._entries.get(key)
        if entry is None:
            return True
        entry.work.stop()
        return entry.ended.wait(wait_s)

    def wait(self, key: str, timeout_s: float | None = None) -> bool:
        """Wait until a work is over; return whether it is."""
        entry = self._entries.get(key)
        return entry is None or entry.ended.wait(timeout_s)

    def close(self, wait_s: float = 5.0) -> None:
        """Start nothing more and end everything, for at most `wait_s` together.

        Never raises: a work that cannot be stopped is logged and keeps no other from being stopped.
        """
        with self._state:
            self._closing = True
        entries = list(self._entries.items())
        for key, entry in entries:
            try:
                entry.work.stop(closing=True)
            except Exception:
                log.exception("%s %s could not be stopped", self._kind, key)
        deadline = time.monotonic() + wait_s
        for key, entry in entries:
            if not entry.ended.wait(max(0.0, deadline - time.monotonic())):
                log.warning("%s %s did not end in time", self._kind, key)

    def _begin(self, key: str, prepare: Callable[[], W], lock: Lock) -> bool:
        try:
            entry = _Entry(prepare(), lock)
            with self._state:
                if self._closing:
                    lock.release(remove=True)
                    return False
                self._entries[key] = entry
            entry.work.begin(partial(self._ended, key, entry))
        except BaseException:
            self._entries.pop(key, None)
            lock.release(remove=True)
            raise
        return True

    def _ended(self, key: str, entry: _Entry[W]) -> None:
        with self._state:
            if self._entries.get(key) is not entry:
                return
            del self._entries[key]
        try:
            entry.lock.release(remove=True)
            self._on_ended(key, entry.work)
        except Exception:
            log.exception("the end of %s %s could not be told", self._kind, key)
        finally:
            entry.ended.set()


def in_thread(name: str, body: Callable[[], None], ended: Callable[[], None]) -> None:
    """Run `body` in a daemon thread of that name, then call `ended`, also when it raised."""

    def work() -> None:
        try:
            body()
        except Exception:
            log.exception("%s failed", name)
        finally:
            ended()

    threading.Thread(target=work, name=name, daemon=True).start()


class LoopTask:
    """A coroutine on the job manager's loop that can be cancelled from any thread.

    submit: `Loop.submit`. `ended` is called also when it is cancelled before its first step, where
    the coroutine itself would never run.
    """

    def __init__(self, submit: Callable[[Coroutine[Any, Any, None]], "Future[None]"]) -> None:
        self._submit = submit
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def begin(self, body: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> None:
        """Start `body` on the loop and return at once; `ended` is called on the loop."""
        whole = self._whole(body, ended)
        try:
            self._submit(whole)
        except BaseException:
            whole.close()
            raise

    def cancel(self) -> None:
        """Cancel the coroutine where it waits; does nothing once it is over."""
        self._cancelled = True
        task = self._task
        if task is not None and not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def _whole(self, body: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> None:
        try:
            self._task = asyncio.ensure_future(body())
            if self._cancelled:
                self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                log.error("work on the loop failed", exc_info=error)
        finally:
            if self._task is not None:
                self._task.cancel()  # the loop closes
            ended()
