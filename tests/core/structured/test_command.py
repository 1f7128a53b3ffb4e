"""`/table` and `/json` as they are typed into the message box: for the conversation, or for one message."""

import json

import pytest

from twokeys.core.structured.command import FormCommand, command_part, form_command, without_command
from twokeys.core.structured.derive import TableColumn, table_columns
from twokeys.errors import BadInput, SchemaRefused

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def command(text: str) -> FormCommand:
    read = form_command(text)
    assert read is not None
    return read


@pytest.mark.parametrize(
    "text",
    ["", "table of contents, please", "/tables", "/jsonify it", "/usr/table", "What is /table?", "/table/x"],
)
def test_any_other_message_is_left_alone(text: str) -> None:
    assert form_command(text) is None
    assert without_command(text) == text


def test_a_table_is_asked_for_by_its_columns_and_a_question_may_follow() -> None:
    read = command("/table 品名，数量:数字\n有哪些零件？")
    assert read.schema is not None and read.schema.origin == "table"
    assert table_columns(read.schema.value) == (TableColumn("品名"), TableColumn("数量", "number"))
    assert read.question == "有哪些零件？"
    assert command("/TABLE part").question == ""


@pytest.mark.parametrize("text", ["/table off", "/json off", " /json -", "/json OFF \n"])
def test_off_takes_the_form_off(text: str) -> None:
    assert command(text) == FormCommand(None, "")


def test_json_alone_is_any_object_and_words_behind_it_are_the_question() -> None:
    for text, question in (("/json", ""), ("/json Name a city", "Name a city"), ("/json\nWhere?", "Where?")):
        read = command(text)
        assert read.schema is not None and read.schema.value == {"type": "object"}
        assert read.question == question


def test_an_example_and_a_schema_are_told_apart() -> None:
    example = command('/json {"type": "invoice", "due": "2026-05-01"}\nRead it.')
    assert example.schema is not None and example.schema.origin == "example"
    assert example.schema.value["properties"]["due"] == {"type": "string", "format": "date"}
    assert example.question == "Read it."
    pretty = json.dumps({"title": "City", **SCHEMA}, indent=1)
    own = command(f"/json\n{pretty}\n\nWhere?")
    assert own.schema is not None and (own.schema.origin, own.schema.name) == ("schema", "City")
    assert own.schema.value["required"] == ["city"]
    assert own.question == "Where?"
    rows = command('/json[{"part": "bolt"}]')
    assert rows.schema is not None and rows.schema.value["type"] == "array"


@pytest.mark.parametrize("text", ["/table", "/table \nWhich?", "/table a:colour", '/json {"a": ', "/json []"])
def test_what_cannot_be_a_form_is_refused_and_nothing_of_it_is_a_question(text: str) -> None:
    with pytest.raises(BadInput):
        form_command(text)
    assert without_command(text) == ""


def test_a_keyword_that_no_engine_honours_is_named() -> None:
    with pytest.raises(SchemaRefused) as refusal:
        form_command('/json {"type": "array", "uniqueItems": true}')
    assert "uniqueItems (#)" in refusal.value.message("zh")


def test_what_stands_before_a_question_can_be_put_before_another() -> None:
    for part, question in (
        ("/table a, b\n", "Which?"),
        ("/json ", "Which?"),
        ('/json\n{"a": 1}\n\n', "Which?"),
    ):
        assert command_part(f"{part}{question}\n") == part
    assert command_part("Which?") == ""
    assert command_part("/table a") == "/table a"
