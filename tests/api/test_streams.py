"""Answers as server-sent events: every piece once, in OpenAI's order, with a comment for each wait."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from twokeys.api.asked import AnswerRequest
from twokeys.api.replies import Heading
from twokeys.api.streams import COMMENT, Pieces, chat_events, response_events, text_events
from twokeys.api.writing import ChoiceDelta, Ended
from twokeys.types import TokenProb

from .making import CALLING, asked, asked_texts, ended

Events = Callable[[Pieces, AnswerRequest, Heading], AsyncGenerator[bytes, None]]
HEADING = Heading("a1", 1700000000, "model", shown=1)
CALL = '<tool_call>\n{"name": "clock", "arguments": {"at": "sea"}}\n</tool_call>'


def sent(events: Events, pieces: Sequence[ChoiceDelta | Ended | None], request: AnswerRequest) -> list[bytes]:
    """Return the events of an answer that comes in these pieces."""

    async def given() -> AsyncGenerator[ChoiceDelta | Ended | None, None]:
        for piece in pieces:
            yield piece

    async def gather() -> list[bytes]:
        return [event async for event in events(given(), request, HEADING)]

    return asyncio.run(gather())


def objects(events: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return what the events hold, without comments and without the end's mark."""
    data = [event.decode().split("data: ", 1)[1] for event in events if event != COMMENT]
    return [json.loads(text) for text in data if text.strip() != "[DONE]"]


def test_a_chat_begins_with_its_role_and_ends_with_its_reason_and_mark() -> None:
    pieces = [ChoiceDelta(0, "Tea"), None, ChoiceDelta(0, " came"), ended("Tea came")]
    events = sent(chat_events, pieces, asked())
    assert events[2] == COMMENT and events[-1] == b"data: [DONE]\n\n"
    chunks = [chunk["choices"][0] for chunk in objects(events)]
    assert chunks[0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["delta"].get("content") for chunk in chunks[1:3]] == ["Tea", " came"]
    assert [chunk["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert objects(events)[-1]["twokeys"]["finish"] == "stop"


def test_usage_comes_last_where_it_was_asked_for_and_on_a_chunk_without_choices() -> None:
    pieces = [ChoiceDelta(0, "Tea"), ended("Tea")]
    last = objects(sent(chat_events, pieces, asked(include_usage=True)))[-1]
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 4)
    assert all("usage" not in chunk for chunk in objects(sent(chat_events, pieces, asked())))


def test_each_of_several_choices_has_a_beginning_and_an_end_of_its_own() -> None:
    pieces = [ChoiceDelta(0, "A"), ended("A"), ChoiceDelta(1, "B"), ended("B", index=1)]
    chunks = [chunk["choices"][0] for chunk in objects(sent(chat_events, pieces, asked(choices=2)))]
    assert [chunk["index"] for chunk in chunks] == [0, 0, 0, 1, 1, 1]
    assert [chunk["delta"].get("role") for chunk in chunks].count("assistant") == 2


def test_probabilities_travel_with_the_text_they_belong_to() -> None:
    piece = ChoiceDelta(0, "Tea", (TokenProb("Tea", 1, -0.5),))
    chunks = objects(sent(chat_events, [piece, ended("Tea")], asked(n_probs=1)))
    assert chunks[1]["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5


def test_a_call_comes_piece_by_piece_and_its_marks_never() -> None:
    pieces = [ChoiceDelta(0, sign) for sign in f"Wait. {CALL}"]
    events = sent(chat_events, [*pieces, ended(f"Wait. {CALL}")], asked(tools=CALLING))
    assert not any(b"tool_call>" in event for event in events)
    deltas = [chunk["choices"][0]["delta"] for chunk in objects(events)]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Wait. "
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert calls[0]["function"]["name"] == "clock" and {call["index"] for call in calls} == {0}
    assert [call.get("id") is not None for call in calls].count(True) == 1
    assert "".join(call["function"]["arguments"] for call in calls) == '{"at": "sea"}'
    assert objects(events)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_that_comes_in_one_piece_with_the_end_is_not_lost() -> None:
    deltas = [
        chunk["choices"][0]["delta"]
        for chunk in objects(sent(chat_events, [ended(CALL)], asked(tools=CALLING)))
    ]
    (call,) = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert call["function"] == {"name": "clock", "arguments": '{"at": "sea"}'}


def test_a_plain_completion_echoes_its_prompt_once_before_the_answer() -> None:
    pieces = [ChoiceDelta(0, "Tea"), ChoiceDelta(0, "."), ended("Tea.")]
    request = asked_texts("We have ", echo=True, include_usage=True)
    chunks = objects(sent(text_events, pieces, request))
    assert [choice["text"] for chunk in chunks for choice in chunk["choices"]] == ["We have ", "Tea", ".", ""]
    assert chunks[-1]["usage"]["prompt_tokens"] == 9


def test_the_events_of_a_response_are_numbered_and_close_what_they_opened() -> None:
    pieces = [None, ChoiceDelta(0, "Tea"), ended("Tea", "length")]
    events = sent(response_events, pieces, asked())
    assert events[1] == COMMENT
    listed = objects(events)
    assert [event["sequence_number"] for event in listed] == [0, 1, 2, 3]
    assert [event["type"] for event in listed] == [
        "response.created",
        "response.output_text.delta",
        "response.output_text.done",
        "response.incomplete",
    ]
    assert listed[2]["text"] == "Tea" and listed[3]["response"]["usage"]["output_tokens"] == 4
