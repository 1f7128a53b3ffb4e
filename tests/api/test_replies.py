"""What an answer looks like to a program: why it ended, what it cost, how it came about."""

import json

import pytest

from twokeys.api import replies
from twokeys.api.choice import ModelChoice
from twokeys.api.replies import Heading
from twokeys.types import Candidate, FinishReason, GuardEvent, Preset, TokenProb, Usage

from .making import CALLING, asked, asked_texts, ended

HEADING = Heading("a1", 1700000000, "model:precise")
CALL = '<tool_call>\n{"name": "clock", "arguments": {"at": "sea"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("stop_string", "stop"),
        ("guard", "stop"),
        ("length", "length"),
        ("context", "length"),
        ("cancelled", "length"),
        ("interrupted", "length"),
    ],
)
def test_an_answer_that_was_cut_by_any_limit_says_so(reason: FinishReason, finish: str) -> None:
    assert replies.finish_of(ended("Tea", reason), asked()) == finish


def test_a_call_is_a_reason_of_its_own_when_it_is_whole_and_was_allowed() -> None:
    calling = asked(tools=CALLING)
    assert replies.finish_of(ended(CALL), calling) == "tool_calls"
    assert replies.finish_of(ended(CALL), asked()) == "stop", "without tools it is text"
    assert replies.finish_of(ended(CALL[:40], "length"), calling) == "length"
    choice = replies.choice_of(ended(CALL), calling, 0)
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"at": "sea"} and call["id"].startswith("call_")


def test_a_prompt_read_once_for_several_choices_counts_once() -> None:
    endings = [ended("Tea", index=index, usage=Usage(9, 4, 2)) for index in range(3)]
    usage = replies.usage_of(endings, asked(choices=3))
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9, 12, 21)
    two_prompts = replies.usage_of(endings[:2], asked_texts("a", "b"))
    assert two_prompts["prompt_tokens"] == 18
    assert two_prompts["prompt_tokens_details"] == {"cached_tokens": 4}


def test_the_object_twokeys_has_what_was_used_and_not_what_was_asked_for() -> None:
    preset = Preset("precise", "combination", {"temperature": 0.2})
    request = asked(
        choice=ModelChoice("model", preset), set_by_request=("top_p",), ignored=("n_keep",), metadata={"a": 1}
    )
    facts = replies.facts_of(
        ended(
            "Tea",
            "guard",
            noticed=[GuardEvent("loop", "stop", 3, 3, {})],
            sampling_set={"temperature": 0.2, "top_p": 0.5},
            sampling_used={"top_p": 0.6},
            seed=7,
            context=64,
            unsupported=("min_p",),
            engine={"kind": "llama.cpp", "drafts_accepted": 3},
        ),
        request,
    )
    assert facts["parameters"] == {"temperature": 0.2, "top_p": 0.6}
    assert facts["context"] == {"size": 64, "left": 64 - 9 - 4}
    assert (facts["preset"], facts["finish"], facts["drafts_accepted"]) == ("precise", "guard", 3)
    assert (facts["ignored"], facts["unsupported"], facts["metadata"]) == (["n_keep"], ["min_p"], {"a": 1})
    assert [event["kind"] for event in facts["guard"]] == ["loop"]
    assert replies.headers_of(facts) == {
        "x-twokeys-finish": "guard",
        "x-twokeys-seed": "7",
        "x-twokeys-preset": "precise",
    }
    assert json.dumps(facts)


def test_a_header_holds_no_sign_that_is_not_ascii() -> None:
    request = asked(choice=ModelChoice("model", Preset("严谨", "own", {})))
    assert replies.known_headers(request) == {"x-twokeys-preset": "??"}


PROBS = (
    TokenProb("T", 1, -0.5, 0, (Candidate("T", 1, -0.5), Candidate("C", 2, -1.5))),
    TokenProb("ea", 3, -0.1, 1, (Candidate("ea", 3, -0.1),)),
)


def test_probabilities_come_with_as_many_candidates_as_wanted_and_their_bytes() -> None:
    probs = replies.choice_of(ended("Tea", probs=PROBS), asked(n_probs=2), 1)["logprobs"]
    assert [(entry["token"], entry["logprob"], len(entry["top_logprobs"])) for entry in probs["content"]] == [
        ("T", -0.5, 1),
        ("ea", -0.1, 1),
    ]
    assert bytes(probs["content"][1]["bytes"]) == b"ea"
    assert replies.choice_of(ended("Tea", probs=PROBS), asked(), 0)["logprobs"] is None


def test_plain_completions_have_the_old_form_and_the_prompt_where_it_was_asked_for() -> None:
    request = asked_texts("It is ", "We have ", choices=2, echo=True, n_probs=1)
    assert [replies.echo_of(request, index) for index in range(4)] == ["It is "] * 2 + ["We have "] * 2
    choice = replies.text_choice(0, "Tea", PROBS, request, 1, "stop")
    assert choice["logprobs"]["text_offset"] == [0, 1]
    assert choice["logprobs"]["top_logprobs"] == [{"T": -0.5}, {"ea": -0.1}]
    assert replies.text_completion(HEADING, [choice])["object"] == "text_completion"


def test_a_response_is_under_way_complete_or_incomplete() -> None:
    states = [
        replies.response(HEADING, ending, asked(metadata={"a": 1}))
        for ending in (None, ended("Tea"), ended("Tea", "length"))
    ]
    assert [state["status"] for state in states] == ["in_progress", "completed", "incomplete"]
    assert [len(state["output"]) for state in states] == [0, 1, 1] and "twokeys" not in states[0]
    assert states[2]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert states[1]["usage"]["total_tokens"] == 13 and states[1]["output"][0]["content"][0]["text"] == "Tea"


def test_an_event_is_one_line_of_json_whatever_the_text_holds() -> None:
    event = replies.event({"text": "a\n\ndata: b 成"}, "delta").decode()
    head, data, *rest = event.split("\n")
    assert (head, rest) == ("event: delta", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": "a\n\ndata: b 成"}
