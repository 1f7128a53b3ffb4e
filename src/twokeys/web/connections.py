"""Connections that ask for nothing: closed after a while, few at a time, oldest first.

A connection waits from its start, or from the end of an answer, until the headers of a request are complete.
Only what waits is limited here; a browser sends its headers at once, so whoever holds connections open with
half a request loses those and not the others' pages. Requests under way are `sessions.py`'s and the routes'.
"""

import asyncio
import contextlib
import logging
import sys
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

HEADERS_WITHIN_S = 10.0
MAX_WAITING = 128
MAX_WAITING_PER_ADDRESS = 64
WANTED_DESCRIPTORS = 4096
FREED_AT_ONCE = 16
SAY_EVERY_S = 60.0
BACKLOG = 128
_NO_DESCRIPTOR = "socket.accept() out of system resource"


class Waiting:
    """The waiting connections of one server, the oldest first. Used on the event loop alone."""

    def __init__(self, most: int = MAX_WAITING, most_per_address: int = MAX_WAITING_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = min(most, most_per_address)
        self._timers: dict[TimedProtocol, asyncio.TimerHandle] = {}
        self._said_at = -SAY_EVERY_S

    def __contains__(self, connection: "TimedProtocol") -> bool:
        return connection in self._timers

    def enter(self, connection: "TimedProtocol") -> None:
        """Give a connection its time; make room for it when too many wait."""
        neighbours = [other for other in self._timers if other.address == connection.address]
        if len(neighbours) >= self._most_per_address:
            self.drop(neighbours[0])
        if len(self._timers) >= self._most:
            self.drop_oldest(1)
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(HEADERS_WITHIN_S, self.drop, connection)

    def leave(self, connection: "TimedProtocol") -> None:
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def drop(self, connection: "TimedProtocol") -> None:
        self.leave(connection)
        connection.transport.abort()

    def drop_oldest(self, count: int) -> None:
        for connection in list(self._timers)[:count]:
            self.drop(connection)

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle a loop's errors: when no connection can be accepted, free some and say so now and then.

        asyncio itself would write a traceback for every connection in the system's queue, each second.
        """
        if context.get("message") != _NO_DESCRIPTOR:
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            log.warning("no more connections can be accepted: %s", context.get("exception"))
            self.drop_oldest(FREED_AT_ONCE)
        else:
            self.drop_oldest(1)


class TimedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with a time to ask for something. Made by `timed_protocol` alone."""

    waiting: Waiting

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waiting.enter(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note_state()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_state()

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.leave(self)
        super().connection_lost(exc)

    def _note_state(self) -> None:
        upgraded = self not in self.connections
        under_way = self.cycle is not None and not self.cycle.response_complete
        if upgraded or under_way or self.transport.is_closing():
            self.waiting.leave(self)
        elif self not in self.waiting:
            self.waiting.enter(self)


def timed_protocol(waiting: Waiting) -> type[TimedProtocol]:
    """Return the protocol of one server: uvicorn makes one of it for each connection."""
    return type("TimedProtocol", (TimedProtocol,), {"waiting": waiting})


def waiting_for(descriptors: int) -> Waiting:
    """Return room for connections that wait: at most a quarter of the descriptors of the process."""
    return Waiting(max(8, min(MAX_WAITING, descriptors // 4)))


def raise_descriptor_limit() -> int:
    """Let this process open more files where the system allows it; return how many it may open."""
    if sys.platform == "win32":
        return WANTED_DESCRIPTORS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
