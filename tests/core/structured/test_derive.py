import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from twokeys.core.structured.derive import (
    MAX_TABLE_COLUMNS,
    TableColumn,
    schema_of_example,
    table_columns,
    table_schema,
)
from twokeys.core.structured.reading import JsonValue
from twokeys.errors import BadInput

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text(max_size=8)
)
NAMES = st.text(min_size=1, max_size=4)
EXAMPLES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=10,
).filter(lambda value: isinstance(value, list | dict))

ALL_KINDS = (
    TableColumn("品名"),
    TableColumn("count", "number"),
    TableColumn("in stock", "yes_no", may_be_empty=True),
    TableColumn("due", "date", may_be_empty=True),
    TableColumn("size", "choice", ("S", "M", "S", " L "), may_be_empty=True),
)


def valid(schema: dict[str, Any], value: object) -> bool:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(value)


@given(EXAMPLES)
def test_every_example_is_valid_against_its_own_schema(value: JsonValue) -> None:
    assert valid(schema_of_example(json.dumps(value)), value)


def test_an_example_fixes_members_types_and_days() -> None:
    schema = schema_of_example('{"name": "Ann", "born": "1990-02-03", "children": 2, "married": true}')
    assert schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "born": {"type": "string", "format": "date"},
            "children": {"type": "integer"},
            "married": {"type": "boolean"},
        },
        "required": ["name", "born", "children", "married"],
        "additionalProperties": False,
    }


def test_elements_of_a_list_share_a_schema_in_which_what_is_not_everywhere_may_be_missing() -> None:
    item = schema_of_example('[{"a": 1, "b": null}, {"a": 2.5}, {"a": 3, "b": "x"}]')["items"]
    assert item["required"] == ["a"]
    assert item["properties"] == {"a": {"type": "number"}, "b": {"type": ["string", "null"]}}


@pytest.mark.parametrize(
    "text", ["", "name, count", '{"a": 1', "[1, 2,]", "12", '"x"', "{}", "[]", '{"a": []}']
)
def test_what_nothing_can_be_learned_of_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        schema_of_example(text)


def test_a_table_asks_for_a_list_of_objects_with_these_columns_and_no_others() -> None:
    schema = table_schema(ALL_KINDS)
    row = {"品名": "螺丝", "count": 1.5, "in stock": None, "due": "2026-01-31", "size": "L"}
    assert valid(schema, [row]) and valid(schema, [])
    for wrong in ({"count": "1"}, {"due": "tomorrow"}, {"size": "XL"}, {"品名": None}, {"more": 1}):
        assert not valid(schema, [row | wrong])
    assert not valid(schema, [{"品名": "螺丝"}])


def test_a_tables_columns_can_be_read_back_from_its_schema() -> None:
    assert table_columns(table_schema(ALL_KINDS)) == ALL_KINDS
    assert table_columns({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}) is None
    assert table_columns({"type": "object"}) is None
    assert table_columns(schema_of_example('[{"a": {"b": 1}}]')) is None


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [TableColumn("a"), TableColumn(" a ")],
        [TableColumn(str(number)) for number in range(MAX_TABLE_COLUMNS + 1)],
    ],
)
def test_a_table_that_cannot_be_is_refused(columns: list[TableColumn]) -> None:
    with pytest.raises(BadInput):
        table_schema(columns)


def test_a_column_needs_a_name_and_choices_where_it_is_to_be_chosen() -> None:
    with pytest.raises(BadInput):
        TableColumn("  ")
    with pytest.raises(BadInput):
        TableColumn("size", "choice", ("", " "))
    assert TableColumn(" two\n words ", "text", ("a",)) == TableColumn("two words")
