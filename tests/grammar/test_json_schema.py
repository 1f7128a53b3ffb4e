"""Grammars of JSON schemas: whatever can be written by them is valid, and what cannot be kept to is named.

The cases of `suite/` are those of the official JSON Schema Test Suite (draft 2020-12).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry

from twokeys.grammar.json_schema import CLAIMED, FORMATS, RefusedKeyword, schema_grammar

from .samples import Sampler

SUITE = Path(__file__).with_name("suite")
FILES = sorted(path.stem for path in SUITE.glob("*.json"))
NEVER = ("not", "multipleOf", "minProperties", "maxProperties", "dependentRequired", "if-then-else")
"""Keywords that no grammar is made of: each of their cases is refused."""
SAMPLES = 12
CHECKED_FORMATS = FormatChecker(formats=("date", "uuid", "email", "ipv4"))


def cases(name: str) -> Iterator[dict[str, Any]]:
    yield from json.loads((SUITE / f"{name}.json").read_text(encoding="utf-8"))


def validator(schema: object) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=Registry(), format_checker=CHECKED_FORMATS)  # type: ignore[arg-type]


def test_every_claimed_keyword_has_cases_of_the_suite() -> None:
    with_cases = {*FILES, "$ref", *(["format"] if "format-date" in FILES else [])}
    assert with_cases >= CLAIMED
    assert {name.removeprefix("format-") for name in FILES if name.startswith("format-")} >= set(FORMATS) - {
        "date-time"
    }


@pytest.mark.parametrize("name", [name for name in FILES if name not in NEVER])
def test_what_is_written_by_a_schema_s_grammar_is_valid(name: str) -> None:
    for case in cases(name):
        made = schema_grammar(case["schema"])
        if made.refused:
            continue
        judge, sampler = validator(case["schema"]), Sampler(made.grammar)
        for _ in range(SAMPLES):
            text = sampler.text()
            assert judge.is_valid(json.loads(text)), (case["description"], text)
            assert made.grammar.accepts(text)
        for test in case["tests"]:
            if not test["valid"]:
                text = json.dumps(test["data"], ensure_ascii=False)
                assert not made.grammar.accepts(text), (case["description"], test["description"])


@pytest.mark.parametrize("name", NEVER)
def test_a_keyword_without_grammar_is_refused_in_every_case(name: str) -> None:
    for case in cases(name):
        refused = {entry.keyword for entry in schema_grammar(case["schema"]).refused}
        assert refused & {"then", "else", *name.split("-")}, case["description"]


def test_usual_values_can_be_written() -> None:
    for name in ("enum", "type", "items", "properties", "minimum", "anyOf", "maxLength"):
        accepted = [
            schema_grammar(case["schema"]).grammar.accepts(json.dumps(test["data"]))
            for case in cases(name)
            for test in case["tests"]
            if test["valid"] and not schema_grammar(case["schema"]).refused
        ]
        assert sum(accepted) > len(accepted) / 2, name


def test_a_refused_keyword_is_named_with_its_place() -> None:
    schema = {
        "type": "object",
        "properties": {
            "rows": {"type": "array", "uniqueItems": True, "items": {"type": "integer", "multipleOf": 5}},
            "when": {"type": "string", "format": "duration"},
            "code": {"type": "string", "pattern": "(?=x)x"},
        },
        "patternProperties": {"^x": {}},
    }
    assert set(schema_grammar(schema).refused) == {
        RefusedKeyword("#", "patternProperties"),
        RefusedKeyword("#/properties/rows", "uniqueItems"),
        RefusedKeyword("#/properties/rows/items", "multipleOf"),
        RefusedKeyword("#/properties/when", "format"),
        RefusedKeyword("#/properties/code", "pattern"),
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "minimum": -2, "maximum": 3},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "number", "exclusiveMaximum": -3},
        {"type": "integer", "minimum": -105, "exclusiveMaximum": 1020},
        {"type": "integer", "exclusiveMinimum": 9.5, "maximum": 31},
        {"type": "string", "pattern": r"^[A-Z]{2}-\d{3,5}( (net|gross))?$"},
        {"type": "string", "pattern": r"[^\s\"]+\\"},
        {"type": "string", "format": "date-time"},
        {"type": ["string", "null"], "minLength": 2, "maxLength": 4},
        {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["b"]},
        {"oneOf": [{"type": "string"}, {"type": "array", "maxItems": 2}]},
        {
            "oneOf": [
                {"type": "object", "properties": {"k": {"const": kind}}, "required": ["k"]}
                for kind in ("a", "b")
            ]
        },
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        {
            "$defs": {"tree": {"type": "object", "properties": {"v": {}, "sub": {"$ref": "#/$defs/tree"}}}},
            "$ref": "#/$defs/tree",
        },
    ],
)
def test_bounds_patterns_and_alternatives_are_kept_to(schema: dict[str, object]) -> None:
    made, judge = schema_grammar(schema), validator(schema)
    sampler = Sampler(made.grammar, seed=1)
    texts = {sampler.text() for _ in range(80)}
    assert made.refused == ()
    assert [text for text in texts if not judge.is_valid(json.loads(text))] == []
    assert len(texts) > 10


def test_the_edges_of_a_range_are_in_it() -> None:
    grammar = schema_grammar({"type": "integer", "minimum": -105, "maximum": 1020}).grammar
    inside = [number for number in range(-1200, 1300) if grammar.accepts(str(number))]
    assert inside == list(range(-105, 1021))


def test_alternatives_that_may_both_hold_are_refused() -> None:
    both = {"oneOf": [{"type": "integer"}, {"minimum": 2}]}
    assert schema_grammar(both).refused == (RefusedKeyword("#", "oneOf"),)


def test_a_schema_that_is_nothing_but_itself_is_refused() -> None:
    for schema in ({"$ref": "#"}, {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}):
        assert schema_grammar(schema).refused == (RefusedKeyword("#", "$ref"),)
