"""Servers by URL: each kind's protocol shapes, and what a faulty one may not do to us."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from asking import ask, hear
from fault_server import FaultServer, Reply, fault_server

from twokeys.engines.dialects import escape_special_tokens
from twokeys.engines.local import LocalEngine
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import (
    BadParameter,
    CannotContinue,
    ContextExceeded,
    EngineOutOfMemory,
    EngineRefused,
    EngineUnreachable,
)
from twokeys.types import ChatMessage, Delta

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as running:
        yield running


def piece(text: str, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]}


def end(reason: str = "stop", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason, **choice}]}


def usage(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    details = None if cached is None else {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}
    return {"choices": [], "usage": counts}


def as_openai(server: FaultServer) -> None:
    server.json(
        "/v1/models", {"object": "list", "data": [{"id": "qwen", "object": "model", "owned_by": "me"}]}
    )


def as_vllm(server: FaultServer) -> None:
    entry = {"id": "Qwen/Qwen2.5-7B-Instruct", "owned_by": "vllm", "max_model_len": 4096}
    server.json("/v1/models", {"object": "list", "data": [entry]})
    server.json("/version", {"version": "0.11.0"})
    server.json("/tokenize", {"count": 31, "max_model_len": 4096, "tokens": list(range(31))})


def as_sglang(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "Qwen2.5-7B", "owned_by": "sglang", "root": "Qwen2.5-7B"}]})
    server.json(
        "/get_server_info", {"version": "0.5.3", "context_length": 32768, "max_total_num_tokens": 90000}
    )


def as_ollama(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "qwen2.5:7b", "owned_by": "library"}]})
    server.json("/api/version", {"version": "0.12.3"})
    server.json(
        "/api/ps", {"models": [{"name": "qwen2.5:7b", "model": "qwen2.5:7b", "context_length": 4096}]}
    )


def as_lmstudio(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "qwen2.5-7b-instruct", "owned_by": "organization_owner"}]})
    entry = {"id": "qwen2.5-7b-instruct", "loaded_context_length": 8192, "max_context_length": 32768}
    server.json("/api/v0/models", {"data": [entry]})
    server.json("/api/v0/models/qwen2.5-7b-instruct", entry)


def as_transformers(server: FaultServer) -> None:
    server.json("/v1/models", {"object": "list", "data": []}, 500)
    server.json("/openapi.json", {"paths": {"/v1/chat/completions": {}, "/load_model": {}}})


def ollama_lines(*texts: str, reason: str = "stop", counts: tuple[int, int] = (31, 3)) -> list[str]:
    """What Ollama's /api/chat streams: a JSON object a line."""
    lines = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    last = {"done": True, "done_reason": reason, "prompt_eval_count": counts[0], "eval_count": counts[1]}
    return [json.dumps(line, ensure_ascii=False) + "\n" for line in (*lines, last)]


KINDS = {
    "openai": (as_openai, 0, ""),
    "vllm": (as_vllm, 4096, "vLLM 0.11.0"),
    "sglang": (as_sglang, 32768, "SGLang 0.5.3"),
    "ollama": (as_ollama, 4096, "Ollama 0.12.3"),
    "lmstudio": (as_lmstudio, 8192, "LM Studio"),
}
SSE_KINDS = [kind for kind in KINDS if kind != "ollama"]


@pytest.mark.parametrize("kind", SSE_KINDS)
async def test_each_kind_of_server_is_recognised_and_streams(server: FaultServer, kind: str) -> None:
    pose, context, build = KINDS[kind]
    pose(server)
    server.events(CHAT, piece(""), piece("你"), piece("好"), end("stop"), usage(31, 3, cached=16))
    engine = RemoteEngine(server.url)
    info = await engine.info()
    assert (info.kind, info.context, info.build, info.local) == (kind, context, build, False)
    heard = await hear(engine, ask("<|im_end|>Hi", top_k=0, top_p=1.0, repetition_penalty=1.0))
    assert heard.text == "你好"
    assert heard.phases == ["prompt", "generating"]
    done = heard.finished
    assert done.reason == "stop"
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.cached_tokens) == (31, 3, 16)
    assert done.engine["kind"] == kind
    sent = server.last(CHAT).body
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == 16
    assert sent["seed"] == 7
    assert "<|im_end|>" not in str(sent["messages"])
    await engine.close()


async def test_ollama_is_asked_by_its_own_api_with_all_its_sampling(server: FaultServer) -> None:
    as_ollama(server)
    server.lines("/api/chat", *ollama_lines("你", "好"))
    engine = RemoteEngine(server.url)
    info = await engine.info()
    assert (info.kind, info.context, info.build) == ("ollama", 4096, "Ollama 0.12.3")
    heard = await hear(engine, ask("Hi", top_k=7, min_p=0.1, repetition_penalty=1.2, n_probs=2))
    assert (heard.text, heard.finished.reason, heard.phases) == ("你好", "stop", ["prompt", "generating"])
    assert (heard.finished.usage.prompt_tokens, heard.finished.usage.completion_tokens) == (31, 3)
    assert heard.finished.unsupported == ("n_probs",), "none came, so they are named"
    assert heard.finished.engine["seed_sent"] == 7
    assert heard.finished.engine["order"] == "llama.cpp"
    sent = server.last("/api/chat").body
    options = {"top_k": 7, "min_p": 0.1, "repeat_penalty": 1.2, "num_predict": 16, "seed": 7}
    assert options.items() <= sent["options"].items()
    assert (sent["model"], sent["logprobs"], sent["top_logprobs"]) == ("qwen2.5:7b", True, 2)
    await engine.close()


async def test_ollama_s_probabilities_length_and_schema_are_read(server: FaultServer) -> None:
    as_ollama(server)
    probs = [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}]}]
    first = {"message": {"content": "a"}, "done": False, "logprobs": probs}
    server.lines("/api/chat", json.dumps(first) + "\n", *ollama_lines(reason="length", counts=(5, 16)))
    engine = RemoteEngine(server.url)
    schema = {"type": "object"}
    heard = await hear(engine, ask(n_probs=1, json_schema=schema))
    assert [(prob.text, prob.logprob, prob.alternatives[0].text) for prob in heard.probs] == [
        ("a", -0.5, "b")
    ]
    assert (heard.finished.reason, heard.finished.unsupported) == ("length", ())
    assert server.last("/api/chat").body["format"] == {"type": "object"}
    server.lines("/api/chat", json.dumps({"error": "model requires more system memory (5.6 GiB)"}) + "\n")
    with pytest.raises(EngineOutOfMemory):
        await hear(engine, ask())
    await engine.close()


async def test_the_context_of_ollama_is_asked_again_once_its_model_is_loaded(server: FaultServer) -> None:
    as_ollama(server)
    loaded = server.replies["/api/ps"]
    server.json("/api/ps", {"models": []})
    server.json("/api/show", {"parameters": ""})
    server.lines("/api/chat", *ollama_lines("a"))
    engine = RemoteEngine(server.url)
    assert (await engine.info()).context == 0
    server.replies["/api/ps"] = loaded
    assert (await hear(engine, ask())).finished.engine["context"] == 4096
    assert (await engine.info()).context == 4096
    await engine.close()


async def test_transformers_serve_gets_its_sampling_as_a_generation_config(server: FaultServer) -> None:
    as_transformers(server)
    server.events(CHAT, piece("a"), end(), usage(5, 1))
    engine = RemoteEngine(f"{server.url}#org/model")
    info = await engine.info()
    assert (info.kind, info.model, info.supports_prefill) == ("transformers", "org/model", False)
    wishes = {"presence_penalty": 1.0, "n_probs": 3, "json_schema": {"type": "object"}}
    done = (await hear(engine, ask(temperature=1.5, top_k=9, **wishes))).finished
    assert {"presence_penalty", "n_probs", "json_schema", "order"} == set(done.unsupported)
    sent = server.last(CHAT).body
    config = json.loads(sent["generation_config"])
    assert (config["do_sample"], config["temperature"], config["top_k"]) == (True, 1.5, 9)
    assert not {"logprobs", "response_format", "presence_penalty", "top_k"} & set(sent)
    await hear(engine, ask(temperature=0.0))
    assert json.loads(server.last(CHAT).body["generation_config"])["do_sample"] is False
    await engine.close()


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("openai", {"top_k", "repetition_penalty"}),
        ("vllm", {"order"}),
        ("sglang", {"order"}),
        ("lmstudio", set()),
    ],
)
async def test_what_a_server_does_not_know_is_named(
    server: FaultServer, kind: str, missing: set[str]
) -> None:
    KINDS[kind][0](server)
    server.events(CHAT, piece("a"), end("length"), usage(5, 1))
    engine = RemoteEngine(server.url)
    done = (await hear(engine, ask())).finished
    assert set(done.unsupported) == missing
    extra = (await hear(engine, ask(dry_multiplier=0.5, min_p=0.1, typical_p=0.9))).finished
    assert {"dry_multiplier", "dry_base", "dry_allowed_length", "typical_p"} <= set(extra.unsupported)
    sent = server.last(CHAT).body
    assert ("min_p" in sent) == (kind in {"vllm", "sglang", "lmstudio"})
    await engine.close()


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("vllm", {"add_generation_prompt": False, "continue_final_message": True}),
        ("sglang", {"continue_final_message": True}),
        ("lmstudio", {}),
    ],
)
async def test_an_answer_is_continued_as_each_server_can(
    server: FaultServer, kind: str, flags: dict[str, bool]
) -> None:
    KINDS[kind][0](server)
    server.events(CHAT, piece(" time"), end(), usage(5, 1))
    engine = RemoteEngine(server.url)
    assert (await engine.info()).supports_prefill
    assert (await hear(engine, ask(prefix="Once upon a"))).text == " time"
    sent = server.last(CHAT).body
    assert sent["messages"][-1] == {"role": "assistant", "content": "Once upon a"}
    assert flags.items() <= sent.items()
    await engine.close()


async def test_a_server_that_cannot_go_on_is_not_asked_to(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("I'm sorry, I can't help with that."), end(), usage(5, 9))
    engine = RemoteEngine(server.url)
    assert not (await engine.info()).supports_prefill
    with pytest.raises(CannotContinue):
        await hear(engine, ask(prefix="Once upon a"))
    assert all(asked.path != CHAT for asked in server.asked)
    await engine.close()


async def test_vllm_counts_exactly_and_refuses_before_sending(server: FaultServer) -> None:
    as_vllm(server)
    engine = RemoteEngine(server.url)
    assert await engine.count_prompt((ChatMessage("user", "Hi"),)) == 31
    assert engine.counts_exactly
    with pytest.raises(ContextExceeded) as caught:
        await hear(engine, ask(max_new_tokens=4090))
    assert caught.value.params == {"prompt_tokens": 31, "max_new_tokens": 4090, "context": 4096}
    assert all(one.path != CHAT for one in server.asked)
    await engine.close()


async def test_ollama_without_a_loaded_model_takes_the_context_of_its_file(server: FaultServer) -> None:
    as_ollama(server)
    server.json("/api/ps", {"models": []})
    server.json("/api/show", {"parameters": 'num_ctx                        16384\nstop "<|im_end|>"'})
    engine = RemoteEngine(server.url)
    assert (await engine.info()).context == 16384
    await engine.close()


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
async def test_a_met_stop_string_is_told_from_the_model_s_own_end(server: FaultServer, field: str) -> None:
    as_openai(server)
    server.events(CHAT, piece("a"), end("stop", **{field: "END"}), usage(5, 1))
    engine = RemoteEngine(server.url)
    assert (await hear(engine, ask(stop=("END",)))).finished.reason == "stop_string"
    await engine.close()


async def test_a_full_context_is_told_from_a_reached_length(server: FaultServer) -> None:
    as_sglang(server)
    server.events(CHAT, piece("a"), end("length"), usage(32760, 8))
    engine = RemoteEngine(server.url)
    assert (await hear(engine, ask(max_new_tokens=512))).finished.reason == "context"
    await engine.close()


async def test_probabilities_in_bytes_make_whole_characters(server: FaultServer) -> None:
    as_openai(server)
    entries = [
        {"token": "\\xf0\\x9f", "bytes": [240, 159], "logprob": -0.5, "top_logprobs": []},
        {"token": "\\x98\\x80", "bytes": [152, 128], "logprob": -0.1, "top_logprobs": []},
    ]
    told = {"content": entries}
    server.events(CHAT, piece("😀", logprobs=told), end(), usage(5, 2))
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(n_probs=2))
    assert [prob.text for prob in heard.probs] == ["", "😀"]
    assert server.last(CHAT).body["top_logprobs"] == 2
    await engine.close()


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
    "told",
    [
        "model requires more system memory (5.6 GiB) than is available (3.1 GiB)",
        "llama runner process has terminated: signal: killed",
        "llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer",
        "Failed to load model: Model loading was stopped due to insufficient system resources.",
        "No available memory for the cache blocks.",
    ],
)
async def test_every_server_s_word_for_too_little_memory_is_understood(
    server: FaultServer, told: str
) -> None:
    as_ollama(server)
    server.json("/api/chat", {"error": told}, 500)
    engine = RemoteEngine(server.url)
    with pytest.raises(EngineOutOfMemory) as caught:
        await hear(engine, ask())
    assert caught.value.params == {"reason": told}
    await engine.close()


async def test_a_runner_that_ended_for_another_reason_is_no_lack_of_memory(server: FaultServer) -> None:
    as_ollama(server)
    told = "llama runner process has terminated: signal: segmentation fault"
    server.json("/api/chat", {"error": told}, 500)
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


async def test_a_model_that_is_not_there_is_refused_with_those_that_are(server: FaultServer) -> None:
    as_vllm(server)
    engine = RemoteEngine(f"{server.url}#llama3")
    with pytest.raises(EngineRefused) as caught:
        await engine.info()
    assert "Qwen/Qwen2.5-7B-Instruct" in caught.value.params["reason"]
    await engine.close()


async def test_a_named_model_is_taken_at_its_word_by_servers_whose_list_is_not_complete(
    server: FaultServer,
) -> None:
    as_openai(server)
    named = RemoteEngine(f"{server.url}#another")
    assert (await named.info()).model == "another"
    server.json("/v1/models", {"error": "no cache folder"}, 500)
    assert (await RemoteEngine(f"{server.url}#another").info()).model == "another"
    with pytest.raises(EngineRefused):
        await RemoteEngine(server.url).info()
    await named.close()


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


@pytest.mark.parametrize(("kind", "usual"), [("vllm", 8), ("sglang", 8), ("openai", 1)])
async def test_a_server_s_slots_are_its_usual_ones_or_as_a_person_set_them(
    server: FaultServer, kind: str, usual: int
) -> None:
    KINDS[kind][0](server)
    assert (await RemoteEngine(server.url).info()).slots == usual
    assert (await RemoteEngine(server.url, ServerAccess(slots=3)).info()).slots == 3


async def test_more_stop_strings_than_a_server_takes_are_watched_here(server: FaultServer) -> None:
    as_vllm(server)
    pieces = (piece("one "), piece("two thr"), piece("ee fo"), piece("ur END five"), piece(" six"))
    server.events(CHAT, *pieces, *(piece(" on") for _ in range(200)), end(), pause_s=0.01)
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(stop=("A", "B", "C", "D", "four END")))
    assert (heard.text, heard.finished.reason) == ("one two three ", "stop_string")
    assert heard.finished.engine["stop_string"] == "four END"
    assert server.last(CHAT).body["stop"] == ["A", "B", "C", "D"]
    assert heard.finished.usage.prompt_tokens == 31, "counted, as the server did not get to its usage"
    await engine.close()


async def test_a_stop_string_that_a_server_leaves_in_the_text_is_cut_and_its_usage_read(
    server: FaultServer,
) -> None:
    as_openai(server)
    server.events(CHAT, piece("a b"), piece("c E"), piece("ND"), end(), usage(9, 4))
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(stop=("END",)))
    assert (heard.text, heard.finished.reason) == ("a bc ", "stop_string")
    assert (heard.finished.usage.prompt_tokens, heard.finished.usage.completion_tokens) == (9, 4)
    server.events(CHAT, piece("a E"), piece("N"), end(), usage(9, 4))
    assert (await hear(engine, ask(stop=("END",)))).text == "a EN", "what only began one is text"
    await engine.close()


async def test_what_a_server_leaves_out_in_silence_is_named(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("no JSON at all"), end(), usage(9, 4))
    engine = RemoteEngine(server.url)
    plain = {"top_k": 0, "repetition_penalty": 1.0}
    done = (await hear(engine, ask(n_probs=5, json_schema={"type": "object"}, **plain))).finished
    assert set(done.unsupported) == {"n_probs", "json_schema"}
    await engine.close()


async def test_the_seed_that_was_sent_and_the_server_s_order_are_told(server: FaultServer) -> None:
    as_vllm(server)
    server.events(CHAT, piece("a"), end(), usage(9, 1))
    engine = RemoteEngine(server.url)
    told = (await hear(engine, ask(seed=None))).finished.engine
    assert told["seed_sent"] == server.last(CHAT).body["seed"]
    assert told["order"] == "transformers"
    as_sglang(server)
    server.json("/v1/models", {"data": [{"id": "q", "owned_by": "sglang", "max_model_len": 4096}]})
    server.json("/server_info", {"version": "0.5.23", "enable_deterministic_inference": False})
    told_by_sglang = (await hear(RemoteEngine(server.url), ask())).finished
    assert "seed" in told_by_sglang.unsupported
    assert told_by_sglang.engine["seed_sent"] is None
    await engine.close()


async def test_probabilities_find_the_text_they_belong_to(server: FaultServer) -> None:
    as_openai(server)

    def told(*tokens: tuple[str, bytes]) -> dict[str, Any]:
        return {"content": [{"token": t, "bytes": list(b), "logprob": -0.5} for t, b in tokens]}

    whole = "好".encode()
    server.events(
        CHAT,
        piece("", logprobs=told(("", b""))),
        piece("好", logprobs=told(("好", whole))),
        piece("", logprobs=told((" a", b" a"))),
        piece(" a b", logprobs=told((" b", b" b"), ("<|im_end|>", b"<|im_end|>"))),
        end(),
        usage(5, 4),
    )
    heard = await hear(RemoteEngine(server.url), ask(n_probs=2))
    assert heard.text == "好 a b"
    assert [(prob.text, prob.start) for prob in heard.probs] == [("", 0), ("好", 0), (" a", 1), (" b", 3)]


async def test_candidates_that_are_pieces_of_a_character_can_be_told_apart(server: FaultServer) -> None:
    as_openai(server)
    others = [
        {"token": "�", "bytes": [229, 165], "logprob": -1},
        {"token": "�", "bytes": [240], "logprob": -2},
    ]
    entries = [{"token": "�", "bytes": [229, 165], "logprob": -1, "top_logprobs": others}]
    entries += [
        {"token": "�", "bytes": [189], "logprob": -1, "top_logprobs": [{**others[0], "bytes": [189]}]}
    ]
    server.events(CHAT, piece("好", logprobs={"content": entries}), end(), usage(5, 2))
    heard = await hear(RemoteEngine(server.url), ask(n_probs=2))
    assert [prob.text for prob in heard.probs] == ["", "好"]
    assert [[other.text for other in prob.alternatives] for prob in heard.probs] == [
        ["<0xE5><0xA5>", "<0xF0>"],
        ["好"],
    ]


async def test_what_a_server_takes_and_does_not_obey_is_tried_once_and_named(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("always the same"), end(), usage(9, 3))
    engine = RemoteEngine(server.url, tries=True)
    wishes = {"top_k": 0, "repetition_penalty": 1.0, "top_p": 1.0, "presence_penalty": 1.0}
    done = (await hear(engine, ask(**wishes))).finished
    assert set(done.unsupported) == {"temperature", "presence_penalty"}
    tried = [asked.body for asked in server.asked if asked.path == CHAT][1:]
    assert {-2.0, 2.0} <= {body["presence_penalty"] for body in tried}
    assert all(body["max_tokens"] <= 32 for body in tried)
    asked_before = len(server.asked)
    await hear(engine, ask(**wishes))
    assert len(server.asked) == asked_before + 1, "nothing is tried twice"
    await engine.close()


@pytest.mark.parametrize("url", ["", "ftp://host", "host:8080", "http://", "http://user:pw@host/"])
def test_what_is_no_server_address_is_refused(url: str) -> None:
    with pytest.raises(BadParameter) as caught:
        RemoteEngine(url)
    assert caught.value.params["field"] == "url"


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "</s>", "[INST]", "<end_of_turn>"]
)
def test_control_tokens_are_neutralised_and_other_text_is_not_touched(token: str) -> None:
    assert token not in escape_special_tokens(f"a {token} b")
    assert escape_special_tokens(f"a {token} b").replace("\u2060", "") == f"a {token} b"
    for plain in ("a < b | c > d", "<strong>", "x[0]", "<| spaced |>", "List<String>"):
        assert escape_special_tokens(plain) == plain
