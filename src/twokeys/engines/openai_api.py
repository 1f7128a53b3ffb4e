"""The only HTTP client of model servers: JSON requests and server-sent events.

Foreign errors become ours here and nowhere else. Knows nothing of what the bodies mean: that is
the dialects' business. Connections are not kept open between requests: an idle one occupies a
thread of llama.cpp's server, and a reused one can be closed by it at the same moment.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from twokeys.engines.memory_words import tells_of_memory
from twokeys.errors import (
    ContextExceeded,
    EngineError,
    EngineOutOfMemory,
    EngineRefused,
    EngineUnreachable,
    Reason,
)
from twokeys.http import httpx

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 120.0
UNAUTHORISED = 401

_OVERFLOW_MARKS = ("exceed_context_size", "context_length_exceeded", "maximum context length", "context size")


class ModelServer:
    """One server's base URL, its key and how to talk to it.

    read_timeout_s: the longest silence within a stream before it counts as unreachable; None waits
    as long as the connection lives (right for a process we watch ourselves).
    """

    def __init__(self, base_url: str, key: str | None = None, *, read_timeout_s: float | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
            follow_redirects=False,
        )
        self._stream_timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=read_timeout_s, write=None, pool=None)

    async def get(self, path: str, *, timeout_s: float | None = None) -> Any:
        """Return the JSON answer of GET path. Raises EngineUnreachable or EngineRefused."""
        return await self._json("GET", path, None, timeout_s)

    async def post(self, path: str, body: Mapping[str, object], *, timeout_s: float | None = None) -> Any:
        """Return the JSON answer of POST path. Raises EngineUnreachable or EngineRefused."""
        return await self._json("POST", path, body, timeout_s)

    async def try_get(self, path: str, *, timeout_s: float = 5.0) -> Any | None:
        """Return the JSON answer of GET path, or None when the server has no such page.

        A missing or wrong key is raised: what a server shows without one is not what it is.
        """
        try:
            return await self.get(path, timeout_s=timeout_s)
        except EngineRefused as refused:
            if refused.params["status"] == UNAUTHORISED:
                raise
            return None

    async def alive(self, path: str = "/health", *, timeout_s: float = 2.0) -> bool:
        """Return whether the server answers `path` with success within `timeout_s`."""
        try:
            answer = await self._client.get(path, timeout=timeout_s)
        except (httpx.HTTPError, OSError):
            return False
        return answer.is_success

    async def stream(self, path: str, body: Mapping[str, object]) -> AsyncGenerator[dict[str, Any], None]:
        """POST `body` and yield each event's JSON object until `[DONE]` or the end of the stream.

        Closing the iterator closes the connection, which is how servers learn of a cancellation.
        Raises EngineUnreachable when the connection breaks or what comes is no JSON, EngineRefused
        (ContextExceeded, EngineOutOfMemory) when the server says no, also in mid-stream. Whether
        the answer was complete is for the caller to see from the last event.
        """
        async with (
            self._boundary(),
            self._client.stream(
                "POST", path, content=_encode(body), headers=_JSON, timeout=self._stream_timeout
            ) as answer,
        ):
            if not answer.is_success:
                raise refusal(answer.status_code, await answer.aread(), body)
            async for data in _events(answer.aiter_lines()):
                if data == "[DONE]":
                    return
                event = self._decode(data)
                if event.get("error"):
                    raise refusal(200, data.encode(), body)
                yield event

    async def close(self) -> None:
        await self._client.aclose()

    async def _json(
        self, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float | None
    ) -> Any:
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        content = None if body is None else _encode(body)
        async with self._boundary():
            answer = await self._client.request(method, path, content=content, headers=_JSON, timeout=timeout)
        if not answer.is_success:
            raise refusal(answer.status_code, answer.content, body)
        try:
            return answer.json()
        except ValueError as exc:
            raise EngineRefused(
                status=answer.status_code, reason=Reason("errors.reason.no_json", path=path)
            ) from exc

    def _decode(self, data: str) -> dict[str, object]:
        try:
            event = json.loads(data)
        except ValueError as exc:
            raise self._broken(Reason("errors.reason.bad_event", data=repr(data[:80]))) from exc
        if not isinstance(event, dict):
            raise self._broken(Reason("errors.reason.bad_event", data=repr(data[:80])))
        return event

    def _broken(self, reason: str) -> EngineUnreachable:
        return EngineUnreachable(url=self.base_url, reason=reason)

    def ended_early(self) -> EngineUnreachable:
        """Return the error for a stream that stopped without saying why."""
        return self._broken(Reason("errors.reason.ended_early"))

    @asynccontextmanager
    async def _boundary(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.TimeoutException as exc:
            raise self._broken(Reason("errors.reason.no_answer_in_time", kind=type(exc).__name__)) from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeDecodeError, OSError) as exc:
            raise self._broken(str(exc) or type(exc).__name__) from exc


_JSON = {"Content-Type": "application/json"}


def _encode(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the data of each server-sent event; several data lines make one event.

    A line that is a JSON object by itself is an event too: some servers stream those.
    """
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line.startswith("{") and not data:
            yield line
        elif not line and data:
            yield "\n".join(data)
            data.clear()
    if data:
        yield "\n".join(data)


def refusal(status: int, content: bytes, body: Mapping[str, object] | None = None) -> EngineError:
    """Return our error for a server's no: ContextExceeded, EngineOutOfMemory or EngineRefused."""
    error = _error_object(content)
    reason = str(error.get("message") or content[:300].decode("utf-8", "replace") or f"HTTP {status}")
    marks = f"{error.get('type')} {error.get('code')} {reason}".lower()
    if any(mark in marks for mark in _OVERFLOW_MARKS):
        return _overflow(error, reason, body or {})
    if tells_of_memory(marks):
        return EngineOutOfMemory(reason=reason)
    code = error.get("code")
    reported = code if status < 400 and isinstance(code, int) else status
    return EngineRefused(status=reported, reason=reason)


def _error_object(content: bytes) -> dict[str, object]:
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer.get("detail", answer))
    return error if isinstance(error, dict) else {"message": str(error)}


def _overflow(error: Mapping[str, Any], reason: str, body: Mapping[str, Any]) -> ContextExceeded:
    options = body.get("options") or {}
    wanted = body.get("n_predict") or body.get("max_tokens") or options.get("num_predict") or 0
    numbers = [int(n) for n in re.findall(r"\d+", reason)]
    context = error.get("n_ctx") or (numbers[0] if numbers else 0)
    prompt = error.get("n_prompt_tokens") or max((n for n in numbers[1:]), default=0)
    return ContextExceeded(prompt_tokens=prompt, max_new_tokens=wanted, context=context)
