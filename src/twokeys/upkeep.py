"""What the app does by itself now and then: removing for good what was deleted long enough ago.

One quiet thread that the services start and end. Knows nothing of how things are removed.
"""

import logging
import threading
from collections.abc import Callable

from twokeys.errors import TwoKeysError

log = logging.getLogger(__name__)

FIRST_S = 3.0
"""The first look comes after the start, not in its way."""
EVERY_S = 60.0


class Upkeep:
    """Removes what was deleted long enough ago. act: looks whether there is something to do, and does it."""

    def __init__(
        self, act: Callable[[], object], *, first_s: float = FIRST_S, every_s: float = EVERY_S
    ) -> None:
        self._act = act
        self._waits_s = (first_s, every_s)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twokeys-upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look now and then."""
        self._thread.start()

    def close(self) -> None:
        """End, after what is being done at the moment. Idempotent."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(30.0)

    def _run(self) -> None:
        wait_s, every_s = self._waits_s
        while not self._end.wait(wait_s):
            wait_s = every_s
            try:
                self._act()
            except TwoKeysError as error:
                log.warning("upkeep is tried again later: %s", error)
            except Exception:
                log.exception("upkeep failed")
