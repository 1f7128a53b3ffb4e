"""What all OpenAI-like servers have in common: stop strings, probabilities, reasoning, what is lost."""

import json
from typing import Any

import pytest
from asking import ask, hear
from fault_server import FaultServer
from posing import CHAT, as_ollama, as_openai, as_sglang, as_vllm, end, ollama_lines, piece, usage

from twokeys.engines.remote import RemoteEngine
from twokeys.errors import CannotContinue

pytestmark = pytest.mark.anyio


async def test_a_server_that_cannot_go_on_is_not_asked_to(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("I'm sorry, I can't help with that."), end(), usage(5, 9))
    engine = RemoteEngine(server.url)
    assert not (await engine.info()).supports_prefill
    with pytest.raises(CannotContinue):
        await hear(engine, ask(prefix="Once upon a"))
    assert all(asked.path != CHAT for asked in server.asked)
    await engine.close()


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
async def test_a_met_stop_string_is_told_from_the_model_s_own_end(server: FaultServer, field: str) -> None:
    as_openai(server)
    server.events(CHAT, piece("a"), end("stop", **{field: "END"}), usage(5, 1))
    engine = RemoteEngine(server.url)
    assert (await hear(engine, ask(stop=("END",)))).finished.reason == "stop_string"
    await engine.close()


async def test_probabilities_in_bytes_make_whole_characters(server: FaultServer) -> None:
    as_openai(server)
    entries = [
        {"token": "\\xf0\\x9f", "bytes": [240, 159], "logprob": -0.5, "top_logprobs": []},
        {"token": "\\x98\\x80", "bytes": [152, 128], "logprob": -0.1, "top_logprobs": []},
    ]
    reported = {"content": entries}
    server.events(CHAT, piece("😀", logprobs=reported), end(), usage(5, 2))
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(n_probs=2))
    assert [prob.text for prob in heard.probs] == ["", "😀"]
    assert server.last(CHAT).body["top_logprobs"] == 2
    await engine.close()


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
    reported = (await hear(engine, ask(seed=None))).finished.engine
    assert reported["seed_sent"] == server.last(CHAT).body["seed"]
    assert reported["order"] == "transformers"
    as_sglang(server)
    server.json("/v1/models", {"data": [{"id": "q", "owned_by": "sglang", "max_model_len": 4096}]})
    server.json("/server_info", {"version": "0.5.23", "enable_deterministic_inference": False})
    told_by_sglang = (await hear(RemoteEngine(server.url), ask())).finished
    assert "seed" in told_by_sglang.unsupported
    assert told_by_sglang.engine["seed_sent"] is None
    await engine.close()


async def test_probabilities_find_the_text_they_belong_to(server: FaultServer) -> None:
    as_openai(server)

    def said_as(*tokens: tuple[str, bytes]) -> dict[str, Any]:
        return {"content": [{"token": t, "bytes": list(b), "logprob": -0.5} for t, b in tokens]}

    whole = "好".encode()
    server.events(
        CHAT,
        piece("", logprobs=said_as(("", b""))),
        piece("好", logprobs=said_as(("好", whole))),
        piece("", logprobs=said_as((" a", b" a"))),
        piece(" a b", logprobs=said_as((" b", b" b"), ("<|im_end|>", b"<|im_end|>"))),
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


async def test_reasoning_that_a_server_tells_apart_stands_in_the_text_as_the_model_wrote_it(
    server: FaultServer,
) -> None:
    as_vllm(server)
    token = {"token": "4", "bytes": [52], "logprob": -0.5, "top_logprobs": []}
    server.events(
        CHAT,
        {"choices": [{"index": 0, "delta": {"reasoning_content": "Two and "}}]},
        {"choices": [{"index": 0, "delta": {"reasoning": "two."}}]},
        piece("4", logprobs={"content": [token]}),
        end(),
        usage(5, 6),
    )
    engine = RemoteEngine(server.url)
    heard = await hear(engine, ask(n_probs=1))
    assert heard.text == "<think>\nTwo and two.\n</think>\n\n4"
    assert [(prob.text, heard.text[prob.start :]) for prob in heard.probs] == [("4", "4")]
    as_ollama(server)
    thinking = {"message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False}
    server.json("/v1/models", {"data": [{"id": "qwen2.5:7b", "owned_by": "library"}]})
    server.lines("/api/chat", json.dumps(thinking) + "\n", *ollama_lines("4"))
    other = RemoteEngine(server.url)
    assert (await hear(other, ask())).text == "<think>\nHm.\n</think>\n\n4"
    await engine.close()
    await other.close()


async def test_what_a_server_takes_and_does_not_obey_is_tried_once_and_named(server: FaultServer) -> None:
    as_openai(server)
    server.events(CHAT, piece("always the same"), end(), usage(9, 3))
    engine = RemoteEngine(server.url, tries=True)
    wanted = {"top_k": 0, "repetition_penalty": 1.0, "top_p": 1.0, "presence_penalty": 1.0}
    done = (await hear(engine, ask(**wanted))).finished
    assert set(done.unsupported) == {"temperature", "presence_penalty"}
    tried = [asked.body for asked in server.asked if asked.path == CHAT][1:]
    assert {-2.0, 2.0} <= {body["presence_penalty"] for body in tried}
    assert all(body["max_tokens"] <= 32 for body in tried)
    asked_before = len(server.asked)
    await hear(engine, ask(**wanted))
    assert len(server.asked) == asked_before + 1, "nothing is tried twice"
    await engine.close()
