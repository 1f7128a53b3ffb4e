"""Events of /v1/chat/completions read: text, reasoning, probabilities put to their text, and the end."""

import math
from typing import Any

from twokeys.engines.chat_stream import THINK, THOUGHT, ChatStream, TokenReader, read_chat_event
from twokeys.types import Delta, EngineEvent, Phase


def event(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta, **choice}]}


def entry(token: str, logprob: float = -0.5, **more: Any) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), **more}


def text_of(events: list[EngineEvent]) -> str:
    return "".join(item.text for item in events if isinstance(item, Delta))


def test_the_first_text_says_that_it_is_being_written_and_the_next_does_not() -> None:
    stream = ChatStream()
    first = read_chat_event(event({"content": "Tea"}), stream)
    second = read_chat_event(event({"content": " came"}), stream)
    assert [type(item) for item in first] == [Phase, Delta] and [type(item) for item in second] == [Delta]
    assert (stream.chars, stream.deltas) == (8, 2)


def test_what_a_server_tells_apart_as_reasoning_stands_between_the_models_marks() -> None:
    stream = ChatStream()
    events = read_chat_event(event({"reasoning_content": "Hm."}), stream)
    events += read_chat_event(event({"reasoning": " So."}), stream)
    events += read_chat_event(event({"content": "Tea."}), stream)
    assert text_of(events) == f"{THINK}Hm. So.{THOUGHT}Tea."


def test_the_end_and_the_usage_are_noted_and_say_nothing() -> None:
    stream = ChatStream()
    assert read_chat_event(event({}, finish_reason="stop", stop_reason="END"), stream) == []
    details = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    assert read_chat_event({"choices": [], "usage": details}, stream) == []
    counted = stream.counted()
    assert (stream.reason, stream.matched) == ("stop", "END")
    assert (counted.prompt_tokens, counted.completion_tokens, counted.cached_tokens) == (9, 4, 3)


def test_without_the_servers_counts_each_piece_of_text_is_a_token() -> None:
    stream = ChatStream()
    for piece in ("Tea", " came", ""):
        read_chat_event(event({"content": piece}), stream)
    assert stream.counted().completion_tokens == 2


def test_probabilities_that_come_before_their_text_wait_for_it() -> None:
    reader = TokenReader(0)
    assert reader.read([entry("Tea"), entry(" came")], "") == ()
    (first,) = reader.read([], "Tea")
    (second,) = reader.read([], " came")
    assert [(prob.text, prob.start) for prob in (first, second)] == [("Tea", 0), (" came", 3)]


def test_pieces_of_a_character_are_shown_with_the_token_that_completes_it() -> None:
    whole = "茶".encode()
    pieces = [{"token": "?", "logprob": -1.0, "bytes": list(part)} for part in (whole[:2], whole[2:])]
    assert [prob.text for prob in TokenReader(5).read(pieces, "茶")] == ["", "茶"]


def test_the_candidate_that_was_written_has_its_id_and_the_others_differ() -> None:
    others = [entry("Tea", -0.5), entry("Coffee", -1.5), entry("Water", -math.inf)]
    (prob,) = TokenReader(0).read([entry("Tea", -0.5, top_logprobs=others, id=7)], "Tea")
    ids = [candidate.token_id for candidate in prob.alternatives]
    assert prob.token_id == ids[0] == 7 and len(set(ids)) == 3
    assert all(math.isfinite(candidate.logprob) for candidate in prob.alternatives)


def test_ids_that_a_server_tells_beside_the_probabilities_are_joined_to_them() -> None:
    choice = {"logprobs": {"content": [entry("Tea")]}, "token_ids": [42]}
    delta = read_chat_event(event({"content": "Tea"}, **choice), ChatStream())[-1]
    assert isinstance(delta, Delta) and [prob.token_id for prob in delta.probs] == [42]
