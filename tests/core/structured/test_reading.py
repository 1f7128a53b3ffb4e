import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.structured.reading import JsonReading, JsonValue, read_json

SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=16,
)
ROWS = [
    {"name": "螺丝 M6", "count": 12, "note": 'a "[{" b\\'},
    {"name": "Mutter", "count": -3.5, "note": None},
]


@given(VALUES, st.booleans())
def test_a_whole_text_reads_as_what_was_written(value: JsonValue, ascii_only: bool) -> None:
    reading = read_json(json.dumps(value, ensure_ascii=ascii_only))
    assert reading == JsonReading(value, complete=True)


@given(st.text(max_size=60))
def test_no_text_whatever_raises(text: str) -> None:
    read_json(text)


@given(VALUES, st.integers(0, 200))
def test_no_half_of_an_answer_is_called_complete_or_broken(value: JsonValue, cut: int) -> None:
    text = json.dumps({"rows": value}, ensure_ascii=False)
    reading = read_json(text[: min(cut, len(text) - 1)])
    assert not reading.complete and not reading.broken


@pytest.mark.parametrize("indent", [None, 2])
def test_every_half_of_a_table_reads_as_rows_of_the_whole(indent: int | None) -> None:
    text = json.dumps(ROWS, ensure_ascii=False, indent=indent)
    seen = 0
    for end in range(1, len(text)):
        reading = read_json(text[:end])
        assert isinstance(reading.value, list) and len(reading.value) >= seen, text[:end]
        seen = len(reading.value)
        closed = seen - (1 if reading.open > 1 else 0)
        assert reading.value[:closed] == ROWS[:closed], text[:end]
        assert closed == text[:end].count("}"), text[:end]


def test_a_text_that_has_not_begun_holds_nothing_yet() -> None:
    assert read_json("") == read_json(" \n") == JsonReading()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2, , 3]", [1, 2]),
        ('[{"品名": "螺丝"},\n {"品名": x', [{"品名": "螺丝"}, {}]),
        ('{"a": 1} and more', {"a": 1}),
        ("[NaN]", []),
    ],
)
def test_what_stands_before_a_mistake_is_read(text: str, value: JsonValue) -> None:
    reading = read_json(text)
    assert (reading.value, reading.complete, reading.broken) == (value, False, True)


def test_prose_is_no_json() -> None:
    assert read_json("Here is the table:") == JsonReading(broken=True)


def test_a_text_nested_without_end_is_broken_and_no_more() -> None:
    assert read_json("[" * 100_000).broken
