"""One asyncio loop in a daemon thread, for everything that waits for engines.

Threads hand it functions and coroutines. It knows no jobs and no engines.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

WORKERS = 8
JOINING_S = 5.0
ENDING_S = 2.0


class EngineLoop:
    """The thread and its loop. Every method but `create_task` may be called from any thread."""

    def __init__(self, name: str) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"{name}-work")
        self.asyncio = asyncio.new_event_loop()
        self.asyncio.set_default_executor(self._workers)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function on the loop: at once when it is called from there, else soon."""
        if threading.current_thread() is self._thread:
            function(*args)
            return
        try:
            self.asyncio.call_soon_threadsafe(function, *args)
        except RuntimeError:
            log.debug("call after close: %s", getattr(function, "__name__", function))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the loop and return its future at once."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine (an engine's) on the loop and return its result.

        Raises what it raises, TimeoutError when it takes longer, and RuntimeError when called
        from the loop's own thread, where it could never end.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("EngineLoop.run was called from its own loop")
        future = self.submit(coroutine)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def create_task(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task. Only on the loop."""
        return self.asyncio.create_task(coroutine)

    def stop(self) -> None:
        """End the loop and its thread; tasks that are left are cancelled."""
        self.call(self.asyncio.stop)
        self._thread.join(JOINING_S)

    def close(self) -> None:
        """Take no more work for the worker threads."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.asyncio)
        try:
            self.asyncio.run_forever()
        finally:
            left = asyncio.all_tasks(self.asyncio)
            for task in left:
                task.cancel()
            if left:
                self.asyncio.run_until_complete(asyncio.wait(left, timeout=ENDING_S))
            self.asyncio.run_until_complete(self.asyncio.shutdown_asyncgens())
            self.asyncio.close()
