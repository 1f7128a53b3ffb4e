"""Sheets as tables: the values that were stored, as a person writes them."""

import datetime
import io

import pytest
from openpyxl import Workbook

from twokeys.documents import workbook
from twokeys.documents.document import Passage
from twokeys.documents.refusal import Refusal
from twokeys.documents.workbook import read_xlsx


def stored(book: Workbook) -> bytes:
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def first_row(*values: object) -> list[str]:
    book = Workbook()
    book.active.append(list(values))
    [sheet] = read_xlsx(stored(book))
    return [cell.strip() for cell in sheet.text.splitlines()[0].strip("|").split("|")]


def test_values_look_as_a_person_writes_them() -> None:
    day = datetime.datetime(2026, 3, 1)
    assert first_row(12.0, 0.5, True, False, day, day.replace(hour=9), "茶") == [
        *("12", "0.5", "TRUE", "FALSE", "2026-03-01", "2026-03-01 09:00:00", "茶")
    ]


def test_each_sheet_is_a_passage_with_its_name_and_an_empty_one_keeps_its_number() -> None:
    book = Workbook()
    book.active.title = "Prices"
    book.active.append(["tea", "price"])
    book.create_sheet("Empty")
    book.create_sheet("Notes").append(["x"])
    sheets = read_xlsx(stored(book))
    assert [(sheet.number, sheet.title, bool(sheet.text)) for sheet in sheets] == [
        (1, "Prices", True),
        (2, "Empty", False),
        (3, "Notes", True),
    ]


def test_a_formula_is_not_computed() -> None:
    book = Workbook()
    book.active.append([1, "=A1+1"])
    [sheet] = read_xlsx(stored(book))  # it was never opened in a program that stores what comes out
    assert sheet == Passage(1, "Sheet", "| 1 |\n| --- |")


def test_a_sheet_of_too_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_CELLS", 5)
    book = Workbook()
    for _ in range(3):
        book.active.append([1, 2])
    with pytest.raises(Refusal) as caught:
        read_xlsx(stored(book))
    assert caught.value.problem == "too_much_text"
