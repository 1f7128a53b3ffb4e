"""A server by URL as an engine: reached, described, and asked again when it has changed."""

import pytest
from asking import ask, hear
from fault_server import FaultServer, Reply
from posing import CHAT, as_vllm, end, piece, usage

from twokeys.engines.local import LocalEngine
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import BadParameter, ContextExceeded, EngineRefused

pytestmark = pytest.mark.anyio


async def test_a_running_llama_server_is_reached_by_url(engine: LocalEngine) -> None:
    await engine.start()
    assert engine._process is not None and engine._server is not None
    remote = RemoteEngine(engine._server.base_url + "/v1/", ServerAccess(engine._process.key))
    info = await remote.info()
    assert (info.kind, info.context, info.slots, info.local) == ("llama.cpp", 2048, 2, False)
    assert (await hear(remote, ask())).finished.sampling_used["seed"] == 7
    assert await remote.tokenize("Hi") == await engine.tokenize("Hi")
    assert await remote.healthy()
    assert (await remote.release()).before_bytes == 0
    assert engine.running
    stranger = RemoteEngine(engine._server.base_url)
    with pytest.raises(EngineRefused) as caught:
        await stranger.info()
    assert caught.value.params["status"] == 401
    await remote.close()
    await stranger.close()


async def test_a_server_that_became_another_is_asked_again_what_it_is(server: FaultServer) -> None:
    as_vllm(server)
    server.events(CHAT, piece("a"), end(), usage(31, 1))
    engine = RemoteEngine(server.url)
    await hear(engine, ask())
    entry = {"id": "qwen-small", "owned_by": "vllm", "max_model_len": 8192}
    server.json("/v1/models", {"data": [entry]})
    gone = Reply(404, (b'{"error": {"message": "The model does not exist"}}',))
    answered = server.replies[CHAT]
    server.replies[CHAT] = [gone, *answered]
    heard = await hear(engine, ask())
    assert (heard.text, heard.finished.engine["model"], heard.finished.engine["context"]) == (
        "a",
        "qwen-small",
        8192,
    )
    server.json("/v1/models", {"data": [{**entry, "max_model_len": 16384}]})
    assert (await hear(engine, ask(max_new_tokens=9000))).text == "a", "refused by what was known, then asked"
    assert (await engine.info()).context == 16384
    await engine.close()


async def test_a_description_is_not_believed_for_ever(server: FaultServer) -> None:
    as_vllm(server)
    engine = RemoteEngine(server.url, described_for_s=0.0)
    assert (await engine.info()).context == 4096
    entry = {"id": "Qwen/Qwen2.5-7B-Instruct", "owned_by": "vllm", "max_model_len": 512}
    server.json("/v1/models", {"data": [entry]})
    assert (await engine.info()).context == 512
    await engine.close()


async def test_a_lasting_overflow_is_raised_after_one_more_look(server: FaultServer) -> None:
    as_vllm(server)
    engine = RemoteEngine(server.url)
    await engine.info()
    for _ in range(2):
        with pytest.raises(ContextExceeded):
            await hear(engine, ask(max_new_tokens=4090))
    await engine.close()


@pytest.mark.parametrize("url", ["", "ftp://host", "host:8080", "http://", "http://user:pw@host/"])
def test_what_is_no_server_address_is_refused(url: str) -> None:
    with pytest.raises(BadParameter) as caught:
        RemoteEngine(url)
    assert caught.value.params["field"] == "url"
