"""Answers of one server side by side, or one of them alone.

For servers whose parallel answers share one context: an answer that found no room is written again
when the others have ended. Knows only the answers that it is told of.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock with many holders at once, or one that is alone. busy: how many hold it now."""

    def __init__(self) -> None:
        self.busy = 0
        self._alone = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Hold it with others; waits while somebody is alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self.busy += 1
        try:
            yield
        finally:
            await self._leave()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold it alone; waits until all others have left."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and self.busy == 0)
            self._alone, self.busy = True, 1
        try:
            yield
        finally:
            self._alone = False
            await self._leave()

    async def _leave(self) -> None:
        self.busy -= 1
        async with self._changed:
            self._changed.notify_all()
