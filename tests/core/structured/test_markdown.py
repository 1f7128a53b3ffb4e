import json
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.config import load_config
from twokeys.core.structured.derive import TableColumn, table_schema
from twokeys.core.structured.markdown import answer_markdown
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.manuscript.page import render
from twokeys.services import build_services
from twokeys.types import AnswerSchema


def test_whole_rows_become_a_table() -> None:
    text = '[{"part": "bolt | M6", "count": 2.50, "tags": ["a"]}, {"part": null, "count": true}, {"part": "nu'
    assert answer_markdown(text).splitlines() == [
        "| part | count | tags |",
        "|---|---|---|",
        '| bolt \\| M6 | 2.5 | ["a"] |',
        "|  | true |  |",
    ]


def test_other_json_stands_in_a_block_of_code() -> None:
    assert answer_markdown('{"a": [1]}') == '```json\n{\n  "a": [\n    1\n  ]\n}\n```'
    assert answer_markdown("no ```json here") == "````json\nno ```json here\n````"


@pytest.mark.parametrize(
    "text", ["[<]", "[a](https://example.org)", "![a](b)", "\\[x\\]", "\\(x\\)", "[a][b]"]
)
def test_brackets_of_a_cell_make_no_link_and_no_formula(text: str) -> None:
    html = render(answer_markdown(json.dumps([{"a": text, "b": "x"}])))
    assert f">{text}</td>" in unescape(html)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12))
def test_a_cell_is_read_as_the_text_it_was(text: str) -> None:
    html = render(answer_markdown(json.dumps([{"a": text, "b": "x"}])))
    assert f">{text}</td>" in unescape(html)


def test_a_structured_answer_stands_in_an_exported_conversation_as_a_table() -> None:
    columns = AnswerSchema.of(table_schema([TableColumn("part")]))
    services = build_services(load_config(), engine=ScriptedEngine([Say('[{"part": "a | b"}]')]))
    try:
        asked = services.conversations.new()
        sent = services.answers.send(asked.id, "List [the] parts", answer_schema=columns)
        services.jobs.wait(sent.job.id, 10)
        exported = services.exchange.export_markdown(asked.id, "en")
    finally:
        services.close()
    assert "\n| part |\n|---|\n| a \\| b |\n" in exported and "\nList [the] parts\n" in exported
