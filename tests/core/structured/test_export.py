import csv
import io
import json
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from twokeys.core.structured.export import (
    XLSX_CELL_CHARS,
    Sheet,
    answer_file,
    file_kinds,
    sheet_of,
    sheet_of_gathered,
    sheet_rows,
    to_csv,
    to_json,
    to_xlsx,
)
from twokeys.core.structured.reading import read_json
from twokeys.core.structured.rows import TableSource, gather, table_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMULAS = ["=1+1", "+A1", "-A1", "@SUM(1)", "\t=1", " =1", "＝1+1", '=HYPERLINK("x")', "%x", "|cmd"]


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_texts_come_back_from_csv_but_for_the_guard(cells: list[str]) -> None:
    _, row = read_csv(to_csv(Sheet(tuple(map(str, range(len(cells)))), (tuple(cells),))))
    for cell, text in zip(row, cells, strict=True):
        assert cell in (text, f"'{text}")


@given(TEXTS)
def test_no_cell_of_a_csv_begins_as_a_formula(text: str) -> None:
    [heading], [cell] = read_csv(to_csv(Sheet((text,), ((text,),))))
    for shown in (heading, cell):
        assert not shown.lstrip().startswith(("=", "@", "＝", "＋", "－", "＠"))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_table_program_would_run_is_a_text_in_both_files(text: str) -> None:
    sheet = Sheet(("a",), ((text,),))
    assert read_csv(to_csv(sheet))[1] == [f"'{text}"]
    cell = load_workbook(io.BytesIO(to_xlsx(sheet))).active["A2"]
    assert (cell.value, cell.data_type) == (text, "s")


@pytest.mark.parametrize("text", ["-5", "+49", "-1,250.00", "-3%", "a=b", "x - y"])
def test_numbers_and_common_texts_get_no_apostrophe(text: str) -> None:
    assert read_csv(to_csv(Sheet(("a",), ((text,),))))[1] == [text]


def test_csv_begins_with_the_mark_that_excel_needs_for_chinese() -> None:
    data = to_csv(Sheet(("品名",), (("螺丝",),)))
    assert data.startswith(b"\xef\xbb\xbf") and read_csv(data) == [["品名"], ["螺丝"]]


def test_each_kind_of_value_has_its_cell() -> None:
    sheet = Sheet(
        ("text", "number", "yes", "empty", "list", "day", "long"),
        (("甲", 2.5, True, None, ["a", {"b": 1}], "2026-02-28", 12345678901234567890),),
    )
    assert read_csv(to_csv(sheet))[1] == [
        "甲", "2.5", "true", "", '["a", {"b": 1}]', "2026-02-28", "12345678901234567890",
    ]  # fmt: skip
    row = [cell.value for cell in load_workbook(io.BytesIO(to_xlsx(sheet))).active[2]]
    day = datetime(2026, 2, 28)
    assert row == ["甲", 2.5, True, None, '["a", {"b": 1}]', day, "12345678901234567890"]


@settings(max_examples=25)
@given(st.text(max_size=20))
def test_any_text_can_stand_in_a_workbook(text: str) -> None:
    load_workbook(io.BytesIO(to_xlsx(Sheet((text,), ((text,),)))))


def test_a_text_too_long_for_a_workbooks_cell_is_seen_to_be_cut() -> None:
    cell = load_workbook(io.BytesIO(to_xlsx(Sheet(("a",), (("x" * 40_000,),))))).active["A2"]
    assert len(cell.value) == XLSX_CELL_CHARS and cell.value.endswith("…")


def test_only_whole_rows_leave() -> None:
    table = table_of(read_json('[{"a": 1, "b": 2}, {"a": 3}, {"a": 4'))
    assert table is not None
    assert sheet_of(table) == Sheet(("a", "b"), ((1, 2), (3, None)))


def test_gathered_rows_leave_with_the_number_of_their_answer() -> None:
    gathered = gather([TableSource(2, "m", '[{"answer": "x"}]'), TableSource(5, "n", '[{"b": 1}]')])
    sheet = sheet_of_gathered(gathered, "answer")
    assert sheet == Sheet(("answer #", "answer", "b"), ((2, "x", None), (5, None, 1)))
    assert sheet_rows(sheet)[1] == {"answer #": 5, "answer": None, "b": 1}


def test_json_leaves_as_it_is_and_numbers_that_are_none_as_null() -> None:
    assert json.loads(to_json({"品名": [1, 2.5, True]})) == {"品名": [1, 2.5, True]}
    assert json.loads(to_json([float("inf")])) == [None]
    assert "品名" in to_json({"品名": 1}).decode()


def test_a_table_leaves_as_any_file_and_other_json_as_json() -> None:
    rows, cut, other = '[{"a": 1}]', '[{"a": 1}, {"a"', '{"a": [1, 2]}'
    assert file_kinds(rows) == file_kinds(cut) == ("csv", "xlsx", "json")
    assert file_kinds(other) == ("json",)
    assert file_kinds("[{") == file_kinds("no json") == ()
    assert read_csv(answer_file(cut, "csv") or b"") == [["a"], ["1"]]
    assert json.loads(answer_file(cut, "json") or b"") == [{"a": 1}]
    assert json.loads(answer_file(other, "json") or b"") == {"a": [1, 2]}
    assert load_workbook(io.BytesIO(answer_file(rows, "xlsx") or b"")).active["A2"].value == 1
    assert answer_file(other, "csv") is None and answer_file("[{", "json") is None
