"""What single servers differ in: how each is recognised and asked, and that what it lacks is named."""

import json

import pytest
from asking import ask, hear
from fault_server import FaultServer
from posing import (
    CHAT,
    KINDS,
    SSE_KINDS,
    as_ollama,
    as_openai,
    as_sglang,
    as_transformers,
    as_vllm,
    end,
    ollama_lines,
    piece,
    usage,
)

from twokeys.engines.remote import RemoteEngine
from twokeys.engines.server_access import ServerAccess
from twokeys.errors import ContextExceeded, EngineOutOfMemory, EngineRefused
from twokeys.types import ChatMessage

pytestmark = pytest.mark.anyio


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
    wanted = {"presence_penalty": 1.0, "n_probs": 3, "json_schema": {"type": "object"}}
    done = (await hear(engine, ask(temperature=1.5, top_k=9, **wanted))).finished
    assert {"presence_penalty", "n_probs", "json_schema", "order"} == set(done.unsupported)
    sent = server.last(CHAT).body
    config = json.loads(sent["generation_config"])
    assert (config["do_sample"], config["temperature"], config["top_k"]) == (True, 1.5, 9)
    assert not {"logprobs", "response_format", "presence_penalty", "top_k"} & set(sent)
    await hear(engine, ask(temperature=0.0))
    assert json.loads(server.last(CHAT).body["generation_config"])["do_sample"] is False
    await engine.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_transformers_serve_that_lists_nothing_is_asked_for_the_model_it_was_started_with(
    server: FaultServer, status: int
) -> None:
    as_transformers(server)
    server.json("/v1/models", {"object": "list", "data": []}, status)
    server.events(CHAT, piece("a"), end(), usage(5, 1))
    engine = RemoteEngine(server.url)
    info = await engine.info()
    assert (info.kind, info.model) == ("transformers", "default")
    assert (await hear(engine, ask())).text == "a"
    assert server.last(CHAT).body["model"] == "default"
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


async def test_vllm_counts_exactly_and_refuses_before_sending(server: FaultServer) -> None:
    as_vllm(server)
    engine = RemoteEngine(server.url)
    assert await engine.count_prompt((ChatMessage("user", "Hi"),)) == 31
    assert engine.counts_exactly
    with pytest.raises(ContextExceeded) as caught:
        await hear(engine, ask(max_new_tokens=4090))
    assert caught.value.params == {"prompt_tokens": 31, "max_new_tokens": 4090, "context": 4096}
    assert all(entry.path != CHAT for entry in server.asked)
    await engine.close()


async def test_ollama_without_a_loaded_model_takes_the_context_of_its_file(server: FaultServer) -> None:
    as_ollama(server)
    server.json("/api/ps", {"models": []})
    server.json("/api/show", {"parameters": 'num_ctx                        16384\nstop "<|im_end|>"'})
    engine = RemoteEngine(server.url)
    assert (await engine.info()).context == 16384
    await engine.close()


async def test_a_full_context_is_told_from_a_reached_length(server: FaultServer) -> None:
    as_sglang(server)
    server.events(CHAT, piece("a"), end("length"), usage(32760, 8))
    engine = RemoteEngine(server.url)
    assert (await hear(engine, ask(max_new_tokens=512))).finished.reason == "context"
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


@pytest.mark.parametrize(("kind", "usual"), [("vllm", 8), ("sglang", 8), ("openai", 1)])
async def test_a_server_s_slots_are_its_usual_ones_or_as_a_person_set_them(
    server: FaultServer, kind: str, usual: int
) -> None:
    KINDS[kind][0](server)
    assert (await RemoteEngine(server.url).info()).slots == usual
    assert (await RemoteEngine(server.url, ServerAccess(slots=3)).info()).slots == 3


async def test_vllm_is_given_a_grammar_by_both_its_names_and_tells_the_ids_of_tokens(
    server: FaultServer,
) -> None:
    as_vllm(server)
    nameless = {"token": "", "bytes": [], "logprob": -0.5}
    reported = {"content": [{**nameless, "top_logprobs": [nameless, {**nameless, "logprob": -3}]}]}
    whole = {"token": "👌", "bytes": list("👌".encode()), "logprob": -0.1}
    last = {"content": [{**whole, "top_logprobs": [whole]}]}
    server.events(
        CHAT,
        {"choices": [{"index": 0, "delta": {"content": ""}, "logprobs": reported, "token_ids": [10813]}]},
        {"choices": [{"index": 0, "delta": {"content": "👌"}, "logprobs": last, "token_ids": [230]}]},
        end(),
        usage(5, 2),
    )
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(n_probs=2, grammar='root ::= "👌"'))
    assert "grammar" not in heard.finished.unsupported
    sent = server.last(CHAT).body
    assert sent["structured_outputs"]["grammar"] == sent["guided_grammar"] == 'root ::= "👌"'
    assert sent["return_token_ids"] is True
    assert [(prob.text, prob.token_id) for prob in heard.probs] == [("", 10813), ("👌", 230)]
    pieces = heard.probs[0].alternatives
    assert [other.text for other in pieces] == ["<0x?>", "<0x?>"], "never a blank"
    assert [other.token_id for other in pieces] == [10813, -3], "the one that was written, and another"
    await engine.close()
