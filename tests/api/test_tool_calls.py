"""Calls as the model writes them: read while they grow, and written back as they were."""

import json

import pytest

from twokeys.api.tool_calls import Call, Spoken, read_calls, written_turn
from twokeys.errors import BadParameter

WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "成都", "days": 3}}\n</tool_call>'
ARGUMENTS = '{"city": "成都", "days": 3}'


def test_a_turn_that_is_written_is_read_as_it_was() -> None:
    turn = written_turn("Let me look.", [("weather", ARGUMENTS), ("clock", "{}")])
    assert (
        turn == f'Let me look.\n{WEATHER}\n<tool_call>\n{{"name": "clock", "arguments": {{}}}}\n</tool_call>'
    )
    spoken = read_calls(turn, ended=True)
    assert spoken.text == "Let me look.\n"
    assert spoken.calls == (Call("weather", ARGUMENTS, True), Call("clock", "{}", True))


def test_however_far_the_answer_has_grown_nothing_is_taken_back() -> None:
    answer = "I look. " + WEATHER
    text = arguments = ""
    for end in range(len(answer) + 1):
        spoken = read_calls(answer[:end], ended=False)
        assert spoken.text.startswith(text)
        text = spoken.text
        for call in spoken.calls:
            assert call.arguments.startswith(arguments)
            arguments = call.arguments
    assert (text, arguments) == ("I look. ", ARGUMENTS)


def test_what_only_looked_like_a_mark_is_text_once_the_answer_has_ended() -> None:
    assert read_calls("a < b <tool", ended=False) == Spoken("a < b ", ())
    assert read_calls("a < b <tool", ended=True) == Spoken("a < b <tool", ())


def test_a_call_that_was_cut_is_not_complete() -> None:
    cut = WEATHER[: WEATHER.index(', "days"')]
    [call] = read_calls(cut, ended=True).calls
    assert not call.complete and call.arguments == '{"city": "成都"'
    [whole] = read_calls(WEATHER.removesuffix("\n</tool_call>"), ended=True).calls
    assert json.loads(whole.arguments) == json.loads(ARGUMENTS), "only the closing mark is missing"


@pytest.mark.parametrize("arguments", ["", "[1]", "{", "7"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    with pytest.raises(BadParameter):
        written_turn("", [("weather", arguments)])
