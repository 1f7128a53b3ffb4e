"""What every answer of the server carries, and which requests get one.

Pure ASGI: content security policy and friends on every HTTP answer; the Host header of every
request must be one of ours (against DNS rebinding); the Origin of every WebSocket and of every
changing request must be the page's own. Passwords are `access.py`'s.
"""

import base64
import hashlib
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from functools import cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokeys.web import streamlit_seams

LOOPBACK_HOSTS: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED_WEBSOCKET = 1008


def content_security_policy(host: str | None) -> str:
    """Return the policy for a page served to `host` (with its port); None when that is not known.

    Nothing may be loaded from, or sent to, another host: a picture in a model's answer would
    carry the conversation away in its address.
    """
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' 'wasm-unsafe-eval' blob:", *_inline_scripts())),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{host} wss://{host}" if host else "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


@cache
def _inline_scripts() -> tuple[str, ...]:
    """Return the hashes of the scripts inside Streamlit's own page, so that just these may run."""
    scripts = re.findall(rb"<script>(.*?)</script>", streamlit_seams.page(), re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode("ascii") for script in scripts)
    return tuple(f"'sha256-{digest}'" for digest in digests)


def split_host(header: str | None) -> str | None:
    """Return the bare, lower-case name of a Host header, or None when it is not one."""
    if not header or any(c in header for c in "/\\@?#,; \t\r\n\"'"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return (parts.hostname or "").rstrip(".").lower() or None


class HostRule:
    """Which names a request may ask for.

    On loopback: the loopback names only. Served to a network: also any plain IP address (a
    rebinding attack needs a name) and this machine's own names.
    """

    def __init__(self, bound: str, extra: Iterable[str] = ()) -> None:
        self.public = not is_loopback(bound)
        names = {*LOOPBACK_HOSTS, bound.lower(), *(name.lower() for name in extra)}
        if self.public:
            own = socket.gethostname().lower()
            names |= {own, f"{own.split('.')[0]}.local"}
        self._names = names

    def allows(self, header: str | None) -> bool:
        name = split_host(header)
        if name is None:
            return False
        return name in self._names or (self.public and _is_address(name))


def is_loopback(host: str) -> bool:
    """Return whether a listening address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(origin: str | None, host: str | None) -> bool:
    """Return whether an Origin header names the very host (and port) the request went to."""
    if not origin or not host:
        return False
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def nobody_else(path: str, origin: str) -> bool:
    """Let no page of another origin ask anything: what a server does unless it is told otherwise."""
    return False


class SecurityMiddleware:
    """Refuses foreign hosts and origins, and puts the security headers on every answer."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: HostRule,
        policy: Callable[[str | None], str] = content_security_policy,
        foreign: Callable[[str, str], bool] = nobody_else,
    ) -> None:
        """foreign: whether a page of another origin (second) may ask at a path (first)."""
        self._app = app
        self._hosts = hosts
        self._policy = policy
        self._foreign = foreign

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host")
        refusal = self._refusal(scope, headers, host)
        if scope["type"] == "websocket":
            if refusal:
                await send({"type": "websocket.close", "code": _REFUSED_WEBSOCKET, "reason": refusal})
                return
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                put = MutableHeaders(scope=message)
                put["Content-Security-Policy"] = self._policy(None if refusal else host)
                put["X-Content-Type-Options"] = "nosniff"
                put.setdefault("Referrer-Policy", "no-referrer")
                put["X-Frame-Options"] = "DENY"
                put["Cross-Origin-Resource-Policy"] = "same-origin"
                put["Permissions-Policy"] = "camera=(), microphone=(self), geolocation=()"  # dictation
                if "access-control-allow-origin" in put and not self._may_ask(scope, headers):
                    del put["access-control-allow-origin"]
            await send(message)

        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _may_ask(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        return origin is not None and self._foreign(scope["path"], origin)

    def _refusal(self, scope: Scope, headers: Headers, host: str | None) -> str | None:
        if len(headers.getlist("host")) != 1 or not self._hosts.allows(host):
            return "This host name is not served here"
        origin = headers.get("origin")
        if scope["type"] == "websocket":
            return None if same_origin(origin, host) else "A page of another origin may not connect"
        if scope["method"] in _SAFE_METHODS:
            return None
        if self._may_ask(scope, headers):
            return None
        ours = scope["path"].startswith("/twokeys/")
        if (origin is not None or ours) and not same_origin(origin, host):
            return "A page of another origin may not do this"
        return None
