"""A build taken into use in the background: fetched, proven, and used when it works and is faster.

One at a time, with pause, resume and cancel. A person talks meanwhile, with what answered before; that stays
when anything fails, and the reason is kept for the screens. Decides for nobody which build that is.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof
from twokeys.errors import ModelError, TwoKeysError
from twokeys.models.download import Cancelled, Control, DownloadProgress

_log = logging.getLogger(__name__)

AdoptionState = Literal["fetching", "paused", "proving", "used", "slower", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class AdoptionView:
    """How far it is. progress: of the download. proof: what was shown. error: why it failed."""

    name: str
    state: AdoptionState
    progress: DownloadProgress | None = None
    proof: Proof | None = None
    error: TwoKeysError | None = None

    @property
    def active(self) -> bool:
        """Whether it is under way or paused."""
        return self.state in ("fetching", "paused", "proving")


class Adoption:
    """The adoption of this run. Thread-safe.

    model: returns the model to prove with, waiting for one when none is here yet; None gives up. used: called
    when another build writes answers from now on.
    """

    def __init__(
        self, builds: BuildManager, model: Callable[[Control], Path | None], used: Callable[[], None]
    ) -> None:
        self._builds = builds
        self._model = model
        self._used = used
        self._lock = threading.Lock()
        self._control = Control()
        self._view: AdoptionView | None = None
        self._thread: threading.Thread | None = None

    @property
    def view(self) -> AdoptionView | None:
        """Return how far it is, None when nothing was begun."""
        view = self._view
        if view is not None and view.state == "fetching" and self._control.paused:
            return replace(view, state="paused")
        return view

    def start(self, name: str) -> None:
        """Fetch, prove and use a build; asking again while one is under way resumes it."""
        with self._lock:
            if self._view is not None and self._view.active:
                self._control.resume()
                return
            self._control = Control()
            self._view = AdoptionView(name, "fetching")
            self._thread = threading.Thread(
                target=self._run, args=(name, self._control), name=f"engine {name}", daemon=True
            )
            self._thread.start()

    def pause(self) -> None:
        """Hold the download; a proof goes on."""
        self._control.pause()

    def resume(self) -> None:
        """Go on with a paused download, or begin again one that failed."""
        view = self._view
        if view is not None and not view.active:
            self.start(view.name)
        else:
            self._control.resume()

    def cancel(self) -> None:
        """End the download; what came is kept for another time."""
        self._control.cancel()

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def close(self) -> None:
        """End it, keeping what came."""
        self._control.cancel()

    def _run(self, name: str, control: Control) -> None:
        def report(progress: DownloadProgress) -> None:
            self._view = AdoptionView(name, "fetching", progress)

        try:
            self._builds.fetch(name, report, control)
            self._view = AdoptionView(name, "proving")
            model = self._model(control)
            if model is None:
                self._view = AdoptionView(name, "cancelled")
                return
            proof = self._builds.prove(name, model)
            if not proof.faster:
                self._view = AdoptionView(name, "slower", proof=proof)
                return
            self._builds.use(name)
            self._view = AdoptionView(name, "used", proof=proof)
            self._used()
        except Cancelled:
            self._view = AdoptionView(name, "cancelled")
        except TwoKeysError as error:
            self._view = AdoptionView(name, "failed", error=error)
        except Exception as error:  # noqa: BLE001 - the top of a thread: nobody else would hear of it
            _log.exception("engine %s", name)
            reason = f"{type(error).__name__}: {error}"
            self._view = AdoptionView(name, "failed", error=ModelError(reason=reason))
