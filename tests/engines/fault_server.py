"""A small HTTP server for tests: answers what it is told, well-formed or not, and records what came.

Each path has a list of raw replies; the last one repeats. It speaks HTTP/1.1 without keep-alive.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """What to send: status, chunks one after another, pauses between them, and how to end.

    cut: close the connection in the middle of the chunked body, as a killed server does.
    """

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    content_type: str = "application/json"
    pause_s: float = 0.0
    first_pause_s: float = 0.0
    cut: bool = False


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FaultServer:
    """Replies by path; unknown paths get 404. `hung_up` counts clients that left early."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    hung_up: int = 0

    def on(self, path: str, *replies: Reply) -> None:
        self.replies[path] = list(replies)

    def json(self, path: str, value: Any, status: int = 200) -> None:
        self.on(path, Reply(status, (json.dumps(value).encode(),)))

    def events(self, path: str, *events: Any, done: bool = True, **changes: Any) -> None:
        """Answer with server-sent events; a str goes out as it is, the rest as JSON."""
        lines = [e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events]
        lines += ["data: [DONE]\n\n"] if done else []
        chunks = tuple(line.encode() for line in lines)
        self.on(path, Reply(chunks=chunks, content_type="text/event-stream", **changes))

    def lines(self, path: str, *lines: str) -> None:
        """Answer with a JSON object a line, as Ollama does."""
        chunks = tuple(line.encode() for line in lines)
        self.on(path, Reply(chunks=chunks, content_type="application/x-ndjson"))

    def last(self, path: str) -> Asked:
        return next(entry for entry in reversed(self.asked) if entry.path == path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _read(reader)
            self.asked.append(asked)
            replies = self.replies.get(asked.path, [Reply(404, (b'{"error":"not found"}',))])
            await _write(writer, replies.pop(0) if len(replies) > 1 else replies[0])
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up += 1
        finally:
            writer.close()


@asynccontextmanager
async def fault_server() -> AsyncIterator[FaultServer]:
    """Run a FaultServer on a free loopback port."""
    state = FaultServer()
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _version = first.split(" ", 2)
    return Asked(method, path, headers, json.loads(raw) if raw else None)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    await asyncio.sleep(reply.first_pause_s)
    writer.write(
        f"HTTP/1.1 {reply.status} Said\r\nContent-Type: {reply.content_type}\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    )
    for chunk in reply.chunks:
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()
        await asyncio.sleep(reply.pause_s)
    if not reply.cut:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
