"""The live routes: job events over a WebSocket, stopping a job, and a health answer.

    GET  /twokeys/live?topic=…       WebSocket; each text frame is a JSON list of events
    POST /twokeys/jobs/{id}/stop     for when the WebSocket is down
    GET  /twokeys/health             {"ok": true, "version": "…"}

The browser may send {"type": "stop", "job": id} and {"type": "sync"} (asks for a fresh snapshot).
Events are made by the job manager; this module only carries them. A client too slow for the
stream loses single deltas, never text: it gets a fresh snapshot instead.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from twokeys import __version__
from twokeys.core.jobs import JobManager
from twokeys.errors import TwoKeysError

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
GOING_AWAY = 1001
BAD_REQUEST = 1008


class Mailbox:
    """Events on their way to one browser: filled by the job thread, emptied by the event loop.

    Neighbouring deltas of one job are joined while they wait. When more than `max_events` or
    `max_chars` wait, everything is dropped and `stale` is set: the reader then asks for a snapshot.
    """

    def __init__(self, wake: Callable[[], None], max_events: int = 256, max_chars: int = 262_144) -> None:
        self._wake = wake
        self._max_events = max_events
        self._max_chars = max_chars
        self._lock = Lock()
        self._events: list[dict[str, Any]] = []
        self._chars = 0
        self._stale = False

    def put(self, event: Event) -> None:
        """Add one event; thread-safe, never blocks for long."""
        with self._lock:
            if event.get("type") == "snapshot":
                self._events = [dict(event)]
                self._chars = 0
                self._stale = False
            elif self._stale:
                return
            else:
                self._append(event)
        self._wake()

    def take(self) -> tuple[list[dict[str, object]], bool]:
        """Return the waiting events and whether some were dropped; both are cleared."""
        with self._lock:
            events, stale = self._events, self._stale
            self._events, self._chars, self._stale = [], 0, False
        return events, stale

    def _append(self, event: Event) -> None:
        last = self._events[-1] if self._events else None
        if last is not None and _joinable(last, event):
            last["text"] += event["text"]
            last["n"] = event.get("n", last.get("n"))
            if event.get("probs"):
                last["probs"] = [*last.get("probs", ()), *event["probs"]]
        elif last is not None and _supersedes(last, event):
            self._events[-1] = dict(event)
        else:
            self._events.append(dict(event))
        self._chars += len(event.get("text") or "")
        if len(self._events) > self._max_events or self._chars > self._max_chars:
            self._events = []
            self._chars = 0
            self._stale = True


def _joinable(last: Event, event: Event) -> bool:
    return (
        last.get("type") == event.get("type") == "delta"
        and last.get("job") == event.get("job")
        and event.get("at") == last.get("at", 0) + len(last.get("text", ""))
    )


def _supersedes(last: Event, event: Event) -> bool:
    if last.get("type") != event.get("type"):
        return False
    if event.get("type") == "job":
        return bool(last["job"].get("id") == event["job"].get("id"))
    return event.get("type") in ("meter", "changed")


class LiveRoutes:
    """The routes over one job manager. `close` ends every open stream at once."""

    def __init__(self, jobs: JobManager, ping_s: float = 15.0) -> None:
        self._jobs = jobs
        self._ping_s = ping_s
        self._closing = False
        self._connections: set[asyncio.Event] = set()

    def routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute("/twokeys/live", self.live),
            Route("/twokeys/jobs/{job}/stop", self.stop, methods=["POST"]),
            Route("/twokeys/health", self.health, methods=["GET"]),
        ]

    def close(self) -> None:
        """End every stream; to be called on the event loop (or in its signal handler)."""
        self._closing = True
        for wake in self._connections:
            wake.set()

    async def health(self, request: Request) -> Response:
        return JSONResponse({"ok": True, "version": __version__}, headers={"Cache-Control": "no-store"})

    async def stop(self, request: Request) -> Response:
        try:
            await asyncio.to_thread(self._jobs.stop, request.path_params["job"])
        except TwoKeysError as error:
            return JSONResponse({"error": error.to_dict()}, status_code=404)
        return JSONResponse({"ok": True})

    async def live(self, websocket: WebSocket) -> None:
        topic = websocket.query_params.get("topic", "")
        if not 0 < len(topic) <= 200:
            await websocket.close(BAD_REQUEST, "topic is missing")
            return
        await websocket.accept()
        connection = _Connection(websocket, self._jobs, topic, self._ping_s)
        self._connections.add(connection.wake)
        try:
            await connection.run(lambda: self._closing)
        finally:
            self._connections.discard(connection.wake)


class _Connection:
    """One browser listening to one topic."""

    def __init__(self, websocket: WebSocket, jobs: JobManager, topic: str, ping_s: float) -> None:
        self._websocket = websocket
        self._jobs = jobs
        self._topic = topic
        self._ping_s = ping_s
        self.wake = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake_from_thread() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to wake
                loop.call_soon_threadsafe(self.wake.set)

        self._mailbox = Mailbox(wake_from_thread)
        self._unsubscribe: Callable[[], None] | None = None

    async def run(self, closing: Callable[[], bool]) -> None:
        listener = asyncio.create_task(self._listen())
        try:
            await self._resubscribe()
            await self._pump(listener, closing)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("live connection of topic %s ended", self._topic)
        finally:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                await listener
            if self._unsubscribe is not None:
                self._unsubscribe()

    async def _pump(self, listener: "asyncio.Task[None]", closing: Callable[[], bool]) -> None:
        while not listener.done():
            try:
                await asyncio.wait_for(self.wake.wait(), self._ping_s)
            except TimeoutError:
                await self._send([{"type": "ping"}])
                continue
            self.wake.clear()
            if closing():
                await self._websocket.close(GOING_AWAY)
                return
            events, stale = self._mailbox.take()
            if stale:
                await self._resubscribe()
            elif events:
                await self._send(events)

    async def _send(self, events: list[dict[str, object]]) -> None:
        frame = json.dumps(events, ensure_ascii=False, separators=(",", ":"))
        if not frame.isascii():
            # a model may write half a surrogate pair
            frame = frame.encode("utf-8", "replace").decode("utf-8")
        await self._websocket.send_text(frame)

    async def _resubscribe(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        subscribe = self._jobs.topics.subscribe
        self._unsubscribe = await asyncio.to_thread(subscribe, self._topic, self._mailbox.put)

    async def _listen(self) -> None:
        try:
            while True:
                frame = await self._websocket.receive()
                if frame["type"] == "websocket.disconnect":
                    return
                await self._handle(frame.get("text") or "")  # of bytes there is nothing to read
        except WebSocketDisconnect:
            return
        finally:
            self.wake.set()

    async def _handle(self, text: str) -> None:
        try:
            message = json.loads(text) if len(text) <= 4096 else None
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "stop" and isinstance(message, dict) and isinstance(message.get("job"), str):
            with contextlib.suppress(TwoKeysError):  # the job ended meanwhile
                await asyncio.to_thread(self._jobs.stop, message["job"])
        elif kind == "sync":
            await self._resubscribe()
