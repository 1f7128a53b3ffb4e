"""The part of the address below which the app lies behind a proxy: `/twokeys` in https://team.example/twokeys/.

Requests may come with that part, as they are, or without it, where the proxy takes it off. Links in our own
pages are relative or made with `base()`; what Streamlit serves is relative already. For the whole process.
"""

import re

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokeys.errors import BadParameter

_held = ""
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def set_base(path: str) -> None:
    """Say below which part of the address the app lies; "" or "/" for none. Raises BadParameter."""
    global _held
    _held = checked_base(path)


def base() -> str:
    """Return that part without a slash at its end; "" for none."""
    return _held


def checked_base(path: str) -> str:
    """Return a base path in its one spelling: "/team", or "". Raises BadParameter."""
    named = "/" + path.strip().strip("/") if path.strip().strip("/") else ""
    if not _PATH.fullmatch(named) or any(part in (".", "..") for part in named.split("/")):
        raise BadParameter(field="base-path", value=path, allowed="/name")
    return named


class BasePathMiddleware:
    """Takes the base path off what comes in, and puts it before the redirects that go out."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["path"] == self._path and scope["type"] == "http":
            await RedirectResponse(f"{self._path}/", status_code=308)(scope, receive, send)
            return
        if scope["path"].startswith(f"{self._path}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._path)}
            if scope.get("raw_path"):
                scope["raw_path"] = scope["raw_path"].removeprefix(self._path.encode())

        async def send_below(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, self._below(name, value)) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_below)

    def _below(self, name: bytes, value: bytes) -> bytes:
        prefix = self._path.encode()
        inside = value.startswith(b"/") and not value.startswith((b"//", prefix + b"/"))
        return prefix + value if name.lower() == b"location" and inside else value
