import json

from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.structured.derive import TableColumn, table_schema
from twokeys.core.structured.reading import JsonReading, read_json
from twokeys.core.structured.rows import AnswerTable, TableSource, columns_of, gather, table_of

PARTS = table_schema([TableColumn("part"), TableColumn("count", "number")])
WRAPPED = {"type": "object", "properties": {"parts": PARTS}, "required": ["parts"]}


def test_a_list_of_objects_is_a_table_with_the_columns_as_they_come() -> None:
    table = table_of(read_json('[{"part": "bolt"}, {"count": 2, "part": "nut"}]'))
    assert table is not None
    assert table.columns == ("part", "count")
    assert table.whole_rows == ({"part": "bolt"}, {"count": 2, "part": "nut"})


def test_an_object_with_one_list_of_objects_is_a_table() -> None:
    table = table_of(read_json('{"parts": [{"part": "bolt"}]}'))
    assert table == AnswerTable(("part",), ({"part": "bolt"},), 1, "parts")


def test_columns_stand_in_the_order_of_the_schema() -> None:
    table = table_of(read_json('[{"count": 1, "part": "bolt", "extra": 0}]'), PARTS)
    assert table is not None and table.columns == ("part", "count", "extra")


def test_a_table_that_has_no_row_yet_has_its_columns() -> None:
    for text in ("", "[", "[]"):
        assert table_of(read_json(text), PARTS) == AnswerTable(("part", "count"), (), 0)
    for text in ("", "{", '{"parts": ['):
        assert table_of(read_json(text), WRAPPED) == AnswerTable(("part", "count"), (), 0, "parts")


def test_other_values_are_no_table() -> None:
    for text in ("", "[]", "[1, 2]", '[{"a": 1}, 2]', '{"a": [{"b": 1}], "c": 2}', '{"a": 1}', '"x"', "null"):
        assert table_of(read_json(text)) is None, text
    assert table_of(read_json("[1, 2]"), PARTS) is None


def test_only_a_list_of_objects_asks_for_a_table() -> None:
    assert columns_of(PARTS) == columns_of(WRAPPED) == ("part", "count")
    assert columns_of({"type": "object", "properties": {"a": {"type": "string"}}}) is None
    assert columns_of({"type": "array", "items": {"type": "string"}}) is None


@given(st.integers(0, 4), st.data())
def test_a_cut_answer_counts_the_rows_whose_object_is_closed(count: int, data: st.DataObject) -> None:
    rows = [{"part": f'p}}{{"[{number}', "count": number} for number in range(count)]
    text = json.dumps({"parts": rows})
    end = data.draw(st.integers(0, len(text) - 1))
    table = table_of(read_json(text[:end]), WRAPPED)
    assert table is not None
    ends = [len(json.dumps({"parts": rows[: number + 1]})) - 2 for number in range(count)]
    assert table.whole == sum(end >= place for place in ends)
    assert list(table.whole_rows) == rows[: table.whole]


def test_rows_of_several_answers_come_into_one_table_with_their_answers() -> None:
    first = TableSource(1, "m1", '[{"part": "bolt", "count": 3}]', PARTS)
    prose = TableSource(2, "m2", "No table here.")
    cut = TableSource(3, "m3", '[{"part": "nut", "price": 0.1}, {"part": "wash')
    gathered = gather([first, prose, cut])
    assert gathered.columns == ("part", "count", "price")
    assert [(entry.source.number, dict(entry.row)) for entry in gathered.rows] == [
        (1, {"part": "bolt", "count": 3}),
        (3, {"part": "nut", "price": 0.1}),
    ]
    assert gathered.sources == 2


def test_nothing_gathers_to_an_empty_table() -> None:
    assert gather([]).rows == ()
    assert table_of(JsonReading()) is None
