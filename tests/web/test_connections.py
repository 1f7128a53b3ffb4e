"""Connections that wait: how long, how many, and that whoever asks for something is not among them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from twokeys.web import connections
from twokeys.web.connections import Waiting, timed_protocol, waiting_for

HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
WHOLE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Client:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> bytes:
        """Return an answer of two letters; empty when the server has closed the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            return head.split()[1] + await self._reader.readexactly(2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def closed(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return await self._reader.read(1) == b""
        return True

    def close(self) -> None:
        self._writer.close()


class Served:
    """A server over one `Waiting`, in this loop. go_on: answers are held back until it is set."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked = asyncio.Event()
        self.clients: list[Client] = []
        self._port = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Served"]:
        config = uvicorn.Config(self.app, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        protocol, state = timed_protocol(self.waiting), ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            for client in self.clients:
                client.close()
            server.close()

    async def connect(self, data: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self.clients.append(client)
        client.say(data)
        return client


Test = Callable[[Served], Awaitable[None]]


def serve(waiting: Waiting, test: Test) -> None:
    """Run a test against a server; it fails when it hangs."""

    async def run() -> None:
        async with Served(waiting).serving() as served:
            await asyncio.wait_for(test(served), 10)

    asyncio.run(run())


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections have a tenth of a second to ask."""
    monkeypatch.setattr(connections, "HEADERS_WITHIN_S", 0.1)


def test_half_a_request_is_closed_after_its_time_and_silence_too(soon: None) -> None:
    async def test(served: Served) -> None:
        half, silent = await served.connect(HALF), await served.connect()
        assert await half.closed() and await silent.closed()

    serve(Waiting(), test)


def test_a_request_fed_drop_by_drop_gains_no_time(soon: None) -> None:
    async def test(served: Served) -> None:
        client = await served.connect(HALF)

        async def drip() -> None:
            while True:
                client.say(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await client.closed()
        dripping.cancel()

    serve(Waiting(), test)


def test_a_request_under_way_has_all_the_time_it_needs_and_the_next_begins_anew(soon: None) -> None:
    async def test(served: Served) -> None:
        served.go_on.clear()
        client = await served.connect(WHOLE)
        await served.asked.wait()
        await asyncio.sleep(0.15)
        served.go_on.set()
        assert await client.answer() == b"200ok"
        client.say(WHOLE)
        assert await client.answer() == b"200ok"
        assert await client.closed(), "after its last answer it waits like any other"

    serve(Waiting(), test)


def test_of_too_many_that_wait_the_oldest_goes_and_who_asks_is_answered() -> None:
    async def test(served: Served) -> None:
        halves = [await served.connect(HALF) for _ in range(3)]
        asking = await served.connect(WHOLE)
        assert await asking.answer() == b"200ok"
        assert await halves[0].closed()
        halves[2].say(b"x\r\n\r\n")
        assert await halves[2].answer() == b"200ok"

    serve(Waiting(most=3), test)


def test_one_address_cannot_take_the_places_of_all() -> None:
    async def test(served: Served) -> None:
        halves = [await served.connect(HALF) for _ in range(3)]
        assert await halves[0].closed()
        halves[1].say(b"x\r\n\r\n")
        assert await halves[1].answer() == b"200ok"

    serve(Waiting(most=100, most_per_address=2), test)


def test_when_no_descriptor_is_left_some_that_wait_are_freed_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(served: Served) -> None:
        halves = [await served.connect(HALF) for _ in range(3)]
        asking = await served.connect(WHOLE)
        await asking.answer()  # all have been accepted by then
        trouble = {"message": "socket.accept() out of system resource", "exception": OSError(24, "too many")}
        for _ in range(3):
            served.waiting.handle(asyncio.get_running_loop(), trouble)
        assert all([await half.closed() for half in halves])

    serve(Waiting(), test)
    assert [record.message for record in caplog.records if "accepted" in record.message] == [
        "no more connections can be accepted: [Errno 24] too many"
    ]


@pytest.mark.parametrize(("descriptors", "waiting"), [(16, 8), (160, 40)])
def test_at_most_a_quarter_of_the_descriptors_is_for_those_that_wait(descriptors: int, waiting: int) -> None:
    async def test(served: Served) -> None:
        halves = [await served.connect(HALF) for _ in range(waiting + 1)]
        assert await halves[0].closed()
        halves[1].say(b"x\r\n\r\n")
        assert await halves[1].answer() == b"200ok"

    serve(waiting_for(descriptors), test)
