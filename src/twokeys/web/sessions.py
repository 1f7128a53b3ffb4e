"""Who is let in: signed cookies, and the gate that asks every request and every socket for one.

A door (`access.py`: a password, `entry.py`: an address with a secret) hands the cookies out; this module
checks them. A session ends after 30 days or when its owner logs out: then its cookie is worthless, also
after a restart, and its open sockets are closed.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokeys.files import write_whole

SESSION_S = 30 * 24 * 3600
OPEN_PATHS = frozenset({"/_stcore/health", "/health", "/twokeys/mark.svg"})
OPEN_PREFIXES = ("/v1/", "/tokenize", "/detokenize")
"""The API's: it asks for keys of its own."""

LOGGED_OUT = 1008
ENDED_FILE = "ended_sessions.json"


class EndedSessions:
    """The sessions that were logged out, in a file, until their cookies would have ended anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_mtime_ns = -1
        self._ended: dict[str, int] = {}

    def __contains__(self, claim: str) -> bool:
        self._read()
        return claim in self._ended

    def add(self, claim: str, expires: int, now: float) -> None:
        self._read()
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        self._ended[claim] = expires
        write_whole(self._path, json.dumps(self._ended).encode("ascii"))

    def _read(self) -> None:
        """Take in what another app of this data folder wrote; nothing readable changes nothing."""
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            changed = self._path.stat().st_mtime_ns
            if changed != self._read_mtime_ns:
                stored = json.loads(self._path.read_text(encoding="ascii"))
                self._ended.update({str(name): int(until) for name, until in stored.items()})
                self._read_mtime_ns = changed


class Sessions:
    """Signed cookies: of those in use nothing is kept here, so a restart keeps people logged in.

    The cookie's name has a part of the key's digest, as browsers share cookies between the ports of one host.
    """

    def __init__(self, key: bytes, ended: EndedSessions, clock: Callable[[], float] = time.time) -> None:
        self.cookie = f"twokeys_session_{hashlib.sha256(key).hexdigest()[:8]}"
        self._key = key
        self._ended = ended
        self._clock = clock

    def issue(self) -> str:
        return self.sign(f"{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(12)}")

    def claim(self, cookie: str | None) -> str | None:
        """Return what names the session of a valid cookie; None when it is not valid."""
        claim = self.signed(cookie)
        return None if claim is None or claim in self._ended else claim

    def end(self, claim: str) -> None:
        """Make the session's cookie worthless."""
        self._ended.add(claim, int(claim.partition(".")[0]), self._clock())

    def sign(self, claim: str, purpose: str = "") -> str:
        """Return a text of the form "UNIX_SECONDS.NAME" with our signature."""
        return f"{claim}.{self._signature(claim, purpose)}"

    def signed(self, text: str | None, purpose: str = "") -> str | None:
        """Return the claim of a text that we signed for this purpose, and whose time is not over."""
        claim, _, signature = (text or "").rpartition(".")
        if not claim or not hmac.compare_digest(signature.encode(), self._signature(claim, purpose).encode()):
            return None
        expires = claim.partition(".")[0]
        return claim if expires.isdigit() and int(expires) > self._clock() else None

    def put(self, answer: Response, cookie: str, *, secure: bool) -> None:
        answer.set_cookie(
            self.cookie, cookie, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure
        )

    def _signature(self, claim: str, purpose: str) -> str:
        message = f"{purpose}\n{claim}".encode("utf-8", "replace")
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, "sha256")).decode().rstrip("=")


class Door(Protocol):
    """What lets people in: answers its own paths, and says how to come in to those without a session."""

    paths: frozenset[str]

    async def answer(self, request: Request) -> Response: ...

    def refuse(self, scope: Scope) -> Response: ...


class SessionGate:
    """Lets only sessions through; everyone else meets the door."""

    def __init__(self, app: ASGIApp, sessions: Sessions, door: Door, sockets: "OpenSockets") -> None:
        self._app = app
        self._sessions = sessions
        self._door = door
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if scope["type"] == "http" and path in self._door.paths:
            answer = await self._door.answer(Request(scope, receive))
            await answer(scope, receive, send)
            return
        claim = self._sessions.claim(HTTPConnection(scope).cookies.get(self._sessions.cookie))
        if scope["type"] == "websocket":
            if claim is None:
                await send({"type": "websocket.close", "code": LOGGED_OUT, "reason": "log in first"})
            else:
                await self._sockets.run(claim, self._app, scope, receive, send)
        elif claim is not None or path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            await self._app(scope, receive, send)
        else:
            await self._door.refuse(scope)(scope, receive, send)


class OpenSockets:
    """The WebSockets of each session, to be closed when it ends. Used on the event loop alone."""

    def __init__(self) -> None:
        self._ends: dict[str, set[asyncio.Event]] = {}

    def close(self, claim: str) -> None:
        for end in self._ends.get(claim, ()):
            end.set()

    async def run(self, claim: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one socket's app; once its session ends, it is told that the browser has gone."""
        end = asyncio.Event()
        self._ends.setdefault(claim, set()).add(end)
        ended = asyncio.create_task(end.wait())
        pending: set[asyncio.Task[Message]] = set()

        async def receive_or_end() -> Message:
            frame = pending.pop() if pending else asyncio.ensure_future(_frame(receive))
            try:
                await asyncio.wait((frame, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not frame.done():
                    pending.add(frame)
            if not ended.done():
                return frame.result()
            await send({"type": "websocket.close", "code": LOGGED_OUT, "reason": "logged out"})
            return {"type": "websocket.disconnect", "code": LOGGED_OUT}

        try:
            await app(scope, receive_or_end, send)
        finally:
            for task in (ended, *pending):
                task.cancel()
            self._ends[claim].discard(end)
            if not self._ends[claim]:
                del self._ends[claim]


async def _frame(receive: Receive) -> Message:
    return await receive()
