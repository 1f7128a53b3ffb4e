"""Records of earlier versions are read as today's, and of odd ones what can be read."""

import json
import math

import pytest

from twokeys.provenance import Provenance
from twokeys.store import shapes


@pytest.mark.parametrize("key", ["step", "rung"])
def test_recovery_steps_are_read_under_todays_key_and_the_one_before(key: str) -> None:
    stored = {"recovery": [{key: "length", "before": 2048, "after": 1536, "context": [4096, 3072]}]}
    step = {"step": "length", "before": 2048, "after": 1536, "context": [4096, 3072]}
    assert Provenance.from_dict(shapes.provenance(stored)).recovery == (step,)


def test_a_recovery_step_without_a_name_is_left_out() -> None:
    assert shapes.provenance({"recovery": [{"before": 2048}]})["recovery"] == []


def test_a_record_of_today_comes_back_as_it_was() -> None:
    part = {
        "sampling_set": {"temperature": 0.7, "stop": ["END"], "seed": None},
        "seed": 7,
        "model": "m",
        "engine": {"kind": "llama.cpp", "devices": ["Card"]},
        "completion_tokens": 4,
        "from_char": 0,
        "finish_reason": "stop",
        "prompt_exact": True,
        "excluded": ["a", "b"],
        "guard": [{"kind": "loop", "level": "warn", "at_token": 3, "at_char": 9, "data": {"copies": 4}}],
    }
    stored = {"parts": [part], "question_at": 12, "guard_report": {"decay": None}}
    assert shapes.provenance(stored) == stored


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "seven"),
        ("seed", True),
        ("seed", 2.0**60),
        ("prompt_exact", 1),
        ("excluded", "a"),
        ("engine", []),
        ("model", 3),
        ("from_char", 1.5),
        ("guard", {"kind": "loop"}),
        ("question_at", float("nan")),
    ],
)
def test_a_value_of_another_shape_is_left_out_and_its_neighbours_stay(name: str, value: object) -> None:
    assert shapes.provenance({name: value, "order": "llama.cpp"}) == {"order": "llama.cpp"}


def test_of_a_list_the_odd_entries_fall_out() -> None:
    event = {"kind": "loop", "level": "stop", "at_token": 1, "at_char": 2, "data": {}}
    odd = [{**event, "level": "loud"}, {"kind": "loop"}, 7, event]
    assert shapes.provenance({"guard": odd, "excluded": ["a", 3, None]}) == {
        "guard": [event],
        "excluded": ["a"],
    }


def test_names_that_are_not_known_stay_as_plain_json() -> None:
    deep: list[object] = []
    for _ in range(2 * shapes.MAX_DEPTH):
        deep = [deep]
    shaped = shapes.provenance({"of_tomorrow": {"a": [1, math.inf]}, "deep": deep})
    assert shaped["of_tomorrow"] == {"a": [1, None]}
    assert json.dumps(shaped).count("[") <= shapes.MAX_DEPTH + 2


def test_a_part_always_has_what_sums_are_made_of() -> None:
    (part,) = shapes.provenance({"parts": [{"completion_tokens": "four", "model": "m"}, "no part"]})["parts"]
    assert part == {"completion_tokens": 0, "from_char": 0, "model": "m"}


@pytest.mark.parametrize("value", [None, 7, "text", [], ["a"]])
def test_what_is_no_record_at_all_is_an_empty_one(value: object) -> None:
    assert shapes.provenance(value) == {} == shapes.event_data(value)


def test_an_error_without_its_code_is_an_unexpected_one_and_none_is_none() -> None:
    assert shapes.error(None) is None and shapes.error({}) is None
    assert shapes.error({"code": "engine_died"}) == {"code": "engine_died", "params": {}}
    odd = shapes.error({"params": {"a": 1}})
    assert odd is not None and odd["code"] == "unexpected"
