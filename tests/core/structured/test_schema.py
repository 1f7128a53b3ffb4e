"""A schema of answers: read from text, refused where no engine can hold to it, and answers checked by it."""

import json

import pytest

from twokeys.core.structured.schema import (
    AnswerSchema,
    check_honoured,
    refused_keywords,
    validity,
)
from twokeys.errors import BadSchema, SchemaRefused

PRICES = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "number", "minimum": 0}},
                "required": ["price"],
            },
        }
    },
    "required": ["rows"],
}


def test_a_schema_is_the_same_after_it_was_kept() -> None:
    schema = AnswerSchema.from_text(json.dumps(PRICES, indent=4), "价格", "table")
    assert AnswerSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema.value == PRICES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[1, 2]", "outermost value has to be an object"),
        ('{"type": "text"}', "$.type"),
        ('{"a": "' + "x" * 200_000 + '"}', "more than 200000 characters"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(BadSchema) as refusal:
        AnswerSchema.from_text(text, "prices.json")
    assert reason in refusal.value.message("en")
    assert "prices.json" in refusal.value.message("zh")


def test_a_valid_an_invalid_and_a_cut_answer_are_told_apart() -> None:
    schema = AnswerSchema.of(PRICES)
    assert validity('{"rows": [{"price": 2.5}]}', schema, "stop").valid
    wrong = validity('{"rows": [{"price": 1}, {"price": "2"}, {}]}', schema, "stop")
    assert wrong.state == "invalid"
    assert [(fault.place, fault.keyword) for fault in wrong.reasons] == [
        ("$.rows[1].price", "type"),
        ("$.rows[2]", "required"),
    ]
    assert validity("The price is 2.", schema, "stop").reasons[0].keyword == "json"
    assert validity('{"rows": NaN}', schema, "stop").state == "invalid"


@pytest.mark.parametrize("reason", ["length", "context", "cancelled", "interrupted", "guard", "error"])
def test_a_cut_answer_is_never_valid_though_its_text_is(reason: str) -> None:
    assert validity('{"rows": []}', AnswerSchema.of(PRICES), reason).state == "cut"


def test_a_day_that_is_in_no_calendar_is_not_valid() -> None:
    day = AnswerSchema.of({"type": "string", "format": "date"})
    assert validity('"2024-02-29"', day).valid
    assert validity('"2023-02-29"', day).reasons[0].keyword == "format"


def test_a_pattern_that_would_never_end_is_given_up() -> None:
    schema = AnswerSchema.of({"type": "string", "pattern": "^(a|a?)+$"})
    assert validity('"aaaa"', schema).valid
    fault = validity(json.dumps("a" * 40 + "b"), schema).reasons[0]
    assert (fault.place, fault.keyword) == ("$", "pattern")
    names = AnswerSchema.of({"type": "object", "patternProperties": {"^(a|a?)+$": {}}})
    assert validity(json.dumps({"a" * 40 + "b": 1}), names).reasons[0].keyword == "patternProperties"


def test_nothing_is_fetched_for_a_reference_elsewhere() -> None:
    schema = AnswerSchema.of({"$ref": "http://127.0.0.1:9/schema.json"})
    assert [(entry.place, entry.keyword) for entry in refused_keywords(schema)] == [("#", "$ref")]
    assert validity("1", schema).reasons[0].keyword == "$ref"


def test_what_cannot_be_honoured_is_named_with_its_place() -> None:
    with pytest.raises(SchemaRefused) as refusal:
        check_honoured(AnswerSchema.of({"type": "array", "uniqueItems": True, "contains": {}}, "set"))
    assert "uniqueItems (#), contains (#)" in refusal.value.message("en")
    check_honoured(AnswerSchema.of(PRICES))
