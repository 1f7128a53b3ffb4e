"""The HTTP client of model servers: what a faulty server may not do to us, and what refusals mean."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest
from asking import ask, hear
from fault_server import FaultServer, Reply
from posing import CHAT, as_ollama, as_openai, end, piece, usage

from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import ContextExceeded, EngineOutOfMemory, EngineRefused, EngineUnreachable
from twokeys.types import Delta

pytestmark = pytest.mark.anyio


STREAM_FAULTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "ends without a finish": ((piece("a"), piece("b")), {"done": False}),
    "says done without a finish": ((piece("a"),), {}),
    "is cut in the middle": ((piece("a"),), {"done": False, "cut": True}),
    "is not JSON": ((piece("a"), "data: {oops\n\n"), {}),
    "is no object": ((piece("a"), "data: [1, 2]\n\n"), {}),
}


@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_a_broken_stream_is_an_error_and_never_a_finished_answer(
    server: FaultServer, fault: str
) -> None:
    events, changes = STREAM_FAULTS[fault]
    as_openai(server)
    server.events(CHAT, *events, **changes)
    engine = RemoteEngine(server.url)
    texts: list[str] = []
    with pytest.raises(EngineUnreachable) as caught:
        async with aclosing(engine.generate(ask())) as stream:
            async for event in stream:
                if isinstance(event, Delta):
                    texts.append(event.text)
    assert texts[0] == "a"
    assert caught.value.params["url"] == server.url
    await engine.close()


async def test_comments_events_and_odd_line_ends_are_read(server: FaultServer) -> None:
    as_openai(server)
    raw = ': ping\r\n\r\nevent: x\r\ndata:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\n: more\n\n'
    server.events(CHAT, raw, 'data: {"choices":\ndata: [{"delta":{"content":"b"}}]}\n\n', end(), done=False)
    engine = RemoteEngine(server.url)
    assert (await hear(engine, ask())).text == "ab"
    await engine.close()


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_a_refusal_keeps_its_status_and_reason(server: FaultServer, status: int) -> None:
    as_openai(server)
    server.json(CHAT, {"error": {"message": "the reason", "type": "x"}}, status)
    engine = RemoteEngine(server.url)
    with pytest.raises(EngineRefused) as caught:
        await hear(engine, ask())
    assert caught.value.params == {"status": status, "reason": "the reason"}
    server.on(CHAT, Reply(status, (b"<html>proxy says no</html>",), "text/html"))
    with pytest.raises(EngineRefused) as caught:
        await hear(engine, ask())
    assert "proxy says no" in caught.value.params["reason"]
    await engine.close()


VLLM_NO = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
    "(4488 in the messages, 512 in the completion)."
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": VLLM_NO, "code": 400}, {"prompt_tokens": 5000, "context": 4096}),
        ({"message": VLLM_NO, "code": "context_length_exceeded"}, {"prompt_tokens": 5000, "context": 4096}),
        (
            {"message": "x", "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512},
            {"prompt_tokens": 900, "context": 512},
        ),
    ],
)
async def test_every_server_s_word_for_a_full_context_is_understood(
    server: FaultServer, error: dict[str, Any], expected: dict[str, int]
) -> None:
    as_openai(server)
    server.json(CHAT, {"error": error}, 400)
    engine = RemoteEngine(server.url)
    with pytest.raises(ContextExceeded) as caught:
        await hear(engine, ask())
    assert expected.items() <= caught.value.params.items()
    assert caught.value.params["max_new_tokens"] == 16
    await engine.close()


@pytest.mark.parametrize(
    "reported",
    [
        "model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
        "llama runner process has terminated: signal: killed",
        "llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer",
        "Failed to load model: Model loading was stopped due to insufficient system resources.",
        "No available memory for the cache blocks.",
    ],
)
async def test_every_server_s_word_for_too_little_memory_is_understood(
    server: FaultServer, reported: str
) -> None:
    as_ollama(server)
    server.json("/api/chat", {"error": reported}, 500)
    engine = RemoteEngine(server.url)
    with pytest.raises(EngineOutOfMemory) as caught:
        await hear(engine, ask())
    assert caught.value.params == {"reason": reported}
    await engine.close()


async def test_a_runner_that_ended_for_another_reason_is_no_lack_of_memory(server: FaultServer) -> None:
    as_ollama(server)
    reported = "llama runner process has terminated: signal: segmentation fault"
    server.json("/api/chat", {"error": reported}, 500)
    engine = RemoteEngine(server.url)
    with pytest.raises(EngineRefused):
        await hear(engine, ask())
    await engine.close()


async def test_an_error_in_mid_stream_is_raised(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("a"), {"error": {"message": "CUDA out of memory", "code": 500}})
    engine = RemoteEngine(server.url)
    with pytest.raises(EngineOutOfMemory):
        await hear(engine, ask())
    server.events(CHAT, piece("a"), {"error": {"message": "lost a worker", "code": 500}})
    with pytest.raises(EngineRefused) as caught:
        await hear(engine, ask())
    assert caught.value.params == {"status": 500, "reason": "lost a worker"}
    await engine.close()


async def test_a_silent_server_is_given_up_after_its_time(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("a"), piece("b"), end(), pause_s=3.0)
    engine = RemoteEngine(server.url, silence_s=0.3)
    with pytest.raises(EngineUnreachable):
        await hear(engine, ask())
    await engine.close()


async def test_a_slow_server_is_waited_for(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("a"), piece("b"), end(), usage(1, 2), pause_s=0.2, first_pause_s=0.5)
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask())
    assert heard.text == "ab"
    assert 0.5 <= (heard.finished.timings.ttft_s or 0) < 60
    await engine.close()


async def test_leaving_closes_the_connection(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, *(piece("a") for _ in range(200)), end(), pause_s=0.05)
    engine = RemoteEngine(server.url)
    async with aclosing(engine.generate(ask())) as stream:
        async for event in stream:
            if isinstance(event, Delta):
                break
    deadline = time.monotonic() + 5
    while not server.hung_up:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    await engine.close()


async def test_no_server_at_all_is_unreachable() -> None:
    engine = RemoteEngine("http://127.0.0.1:9")
    with pytest.raises(EngineUnreachable) as caught:
        await hear(engine, ask())
    assert caught.value.params["url"] == "http://127.0.0.1:9"
    assert not await engine.healthy()
    assert isinstance(await engine.reachable(), EngineUnreachable)
    await engine.close()


async def test_the_key_goes_as_a_bearer_token(server: FaultServer) -> None:
    as_openai(server)
    access = ServerAccess("secret")
    engine = RemoteEngine(server.url, lambda: access)
    await engine.info()
    assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer secret"}
    assert "secret" not in repr(access)
    server.asked.clear()
    access = ServerAccess("another")
    await engine.info()
    assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer another"}
    await engine.close()
