"""The model is loaded when a page is opened, so that the first answer begins as soon as the second.

Only once for each run of the app, only a local model, and only where memory is ample; afterwards it is as
always: an idle model is unloaded, a cleared one stays unloaded until the next message.
"""

import asyncio
import logging
import threading
from collections.abc import Callable

from twokeys.core.jobs import JobManager
from twokeys.core.memory.plan import MemoryPlan
from twokeys.core.ports import EngineSource
from twokeys.errors import TwoKeysError

log = logging.getLogger(__name__)

AFTER_S = 1.0
"""The browser draws the page first: both need the processor."""
AMPLE_SHARE = 0.5
"""Memory is ample where a model takes at most this share of what is available."""


class EarlyStart:
    """Starts the engine once, in the background.

    plan: how the model would start, None without a local one. wanted: whether a person lets it be.
    """

    def __init__(
        self,
        jobs: JobManager,
        engines: EngineSource,
        plan: Callable[[], MemoryPlan | None],
        wanted: Callable[[], bool],
        after_s: float = AFTER_S,
    ) -> None:
        self._jobs = jobs
        self._engines = engines
        self._plan = plan
        self._wanted = wanted
        self._after_s = after_s
        self._lock = threading.Lock()
        self._begun = False

    def page_opened(self) -> bool:
        """Load the model soon, without waiting for it; return False when that was done before."""
        with self._lock:
            if self._begun or self._engines.running():
                return False
            self._begun = True
        self._jobs.loop.submit(self._start())
        return True

    async def _start(self) -> None:
        await asyncio.sleep(self._after_s)
        if not await asyncio.to_thread(self._may_start):
            return
        try:
            engine = await self._engines.ready()
            await engine.info()
        except TwoKeysError as error:
            log.info("the model was not loaded early; the next message says why: %s", error)

    def _may_start(self) -> bool:
        if not self._wanted() or self._engines.running():
            return False
        plan = self._plan()
        return plan is not None and is_ample(plan)


def is_ample(plan: MemoryPlan) -> bool:
    """Whether a model leaves half of what is available on the host, and on the card, to others."""
    if not plan.fits:
        return False
    room, needs = plan.room, plan.needs
    if room.unified or room.device_bytes is None:
        return needs.total_bytes <= AMPLE_SHARE * room.host_bytes
    return needs.host.total_bytes <= AMPLE_SHARE * room.host_bytes
