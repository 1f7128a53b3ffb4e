"""The grammar of calls: what its functions' schemas allow goes through, what they forbid does not."""

import json
from typing import Any

import pytest

from twokeys.api.tool_calls import read_calls, written_turn
from twokeys.api.tool_grammar import call_grammar

from .gbnf import allows

WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "华氏"]},
            "days": {"type": ["integer", "null"]},
            "at": {"anyOf": [{"const": "now"}, {"type": "array", "items": {"type": "number"}}]},
            "place": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
        },
        "required": ["city"],
    },
}
CLOCK = {"name": "clock"}


def call(name: str, arguments: object) -> str:
    written = json.dumps(arguments, ensure_ascii=False)
    return f'<tool_call>\n{{"name": "{name}", "arguments": {written}}}\n</tool_call>'


@pytest.mark.parametrize(
    "arguments",
    [
        {"city": "Paris"},
        {"city": 'a "b" \\ c', "unit": "华氏"},
        {"city": "成都", "unit": "celsius", "days": 3},
        {"city": "Paris", "days": None},
        {"city": "Paris", "at": "now"},
        {"city": "Paris", "at": [1, 2.5, -3e2]},
        {"city": "Paris", "at": []},
        {"city": "Paris", "place": {"lat": 48.86}},
    ],
)
def test_arguments_that_fit_the_schema_go_through(arguments: object) -> None:
    assert allows(call_grammar([WEATHER], parallel=False))(call("weather", arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"unit": "celsius"},
        {"city": 3},
        {"city": "Paris", "unit": "kelvin"},
        {"city": "Paris", "days": 1.5},
        {"city": "Paris", "at": "later"},
        {"city": "Paris", "at": ["x"]},
        {"city": "Paris", "place": {}},
        {"city": "Paris", "other": 1},
        [],
    ],
)
def test_arguments_that_do_not_fit_are_held_back(arguments: object) -> None:
    assert not allows(call_grammar([WEATHER], parallel=False))(call("weather", arguments))


def test_a_function_without_a_schema_takes_any_object_and_nothing_else() -> None:
    clock = allows(call_grammar([CLOCK], parallel=False))
    assert clock(call("clock", {"deep": [{"er": [True, None]}]})) and clock(call("clock", {}))
    assert not clock(call("clock", [])) and not clock(call("alarm", {}))


def test_where_nothing_is_required_any_of_the_properties_may_begin() -> None:
    properties = {name: {"type": "integer"} for name in "abc"}
    free = allows(call_grammar([{"name": "f", "parameters": {"properties": properties}}], parallel=False))
    assert all(free(call("f", value)) for value in ({}, {"a": 1}, {"b": 1}, {"c": 1}, {"a": 1, "c": 2}))


def test_several_calls_go_through_only_where_they_may() -> None:
    both = written_turn("", [("weather", '{"city": "Paris"}'), ("clock", "{}")])
    assert allows(call_grammar([WEATHER, CLOCK], parallel=True))(both)
    assert not allows(call_grammar([WEATHER, CLOCK], parallel=False))(both)


def test_what_goes_through_is_read_as_a_complete_call() -> None:
    (read,) = read_calls(call("weather", {"city": "Paris"}), ended=True).calls
    assert read.complete and json.loads(read.arguments) == {"city": "Paris"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": []},
        {"properties": {"a": 7, "b": {"type": "strange"}, "c": {"enum": []}, "d": {"type": []}}},
        {"properties": {"a": {"type": {"of": "object"}}}},
        {"properties": {"a": True}, "required": "a"},
    ],
)
def test_a_schema_of_odd_shapes_leaves_the_value_to_the_model(schema: dict[str, Any]) -> None:
    odd = allows(call_grammar([{"name": "f", "parameters": schema}], parallel=False))
    assert odd(call("f", {"a": {"any": "thing"}}))


def test_a_schema_that_never_ends_is_cut_off_where_no_answer_goes() -> None:
    schema: dict[str, Any] = {"properties": {}}
    schema["properties"]["a"] = {"type": "object", "properties": schema["properties"]}
    grammar = call_grammar([{"name": "f", "parameters": schema}], parallel=False)
    assert allows(grammar)(call("f", {"a": {"a": {}}}))
