"""Rows as files: CSV and XLSX for a table program, JSON for other programs.

A text that a table program would run as a formula stays a text in both. Says nothing of what is a row.
"""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, TypeAlias

from twokeys.core.structured.reading import JsonValue, read_json
from twokeys.core.structured.rows import AnswerTable, GatheredTable, table_of

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

FileKind = Literal["csv", "xlsx", "json"]
MEDIA_TYPES: Mapping[FileKind, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
"""The files that rows can leave as; other JSON leaves as JSON alone."""
Cell: TypeAlias = "bool | int | float | str | None"

_FORMULA = re.compile(r"[\s\x00]*[=+\-@＝＋－＠]|[\t\r\n|%]")
"""How a text begins that Excel, LibreOffice or WPS may run (OWASP: CSV injection)."""
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*%?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
XLSX_CELL_CHARS = 32767
XLSX_DIGITS = 15
"""Of a number; Excel writes the further ones as zeros."""
WIDEST_COLUMN = 60


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it leaves TwoKeys: headings, and rows of as many values."""

    headings: tuple[str, ...]
    rows: tuple[tuple[JsonValue, ...], ...]


def sheet_of(table: AnswerTable) -> Sheet:
    """Return the whole rows of an answer."""
    return Sheet(
        table.columns, tuple(tuple(row.get(name) for name in table.columns) for row in table.whole_rows)
    )


def sheet_of_gathered(gathered: GatheredTable, answer_heading: str) -> Sheet:
    """Return the rows of several answers, the number of each one's answer before it."""
    heading = answer_heading
    while heading in gathered.columns:
        heading += " #"
    return Sheet(
        (heading, *gathered.columns),
        tuple(
            (entry.source.number, *(entry.row.get(name) for name in gathered.columns))
            for entry in gathered.rows
        ),
    )


def file_kinds(text: str, schema: Mapping[str, object] | None = None) -> tuple[FileKind, ...]:
    """Return the files that an answer can leave as; none where nothing of it can be read."""
    reading = read_json(text)
    table = table_of(reading, schema)
    if table is not None:
        return tuple(MEDIA_TYPES) if table.whole else ()
    return ("json",) if reading.complete else ()


def answer_file(text: str, kind: FileKind, schema: Mapping[str, object] | None = None) -> bytes | None:
    """Return an answer as a file: its whole rows, or all of other JSON. None where it cannot leave so."""
    if kind not in file_kinds(text, schema):
        return None
    reading = read_json(text)
    table = table_of(reading, schema)
    if kind == "json":
        return to_json(reading.value if reading.complete or table is None else table.whole_rows)
    return None if table is None else sheet_file(sheet_of(table), kind)


def sheet_file(sheet: Sheet, kind: FileKind) -> bytes:
    """Return rows as a file of this kind."""
    if kind == "json":
        return to_json(sheet_rows(sheet))
    return to_csv(sheet) if kind == "csv" else to_xlsx(sheet)


def to_csv(sheet: Sheet) -> bytes:
    """Return the rows as CSV with the mark by which Excel knows UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(map(_guarded, sheet.headings))
    for row in sheet.rows:
        writer.writerow([_csv_cell(value) for value in row])
    return file.getvalue().encode("utf-8-sig", "replace")


def to_xlsx(sheet: Sheet) -> bytes:
    """Return the rows as a workbook: numbers as numbers, days as days, everything else as text."""
    from openpyxl import Workbook

    book = Workbook()
    page = book.active
    if page is None:  # a new workbook has a page
        page = book.create_sheet()
    for number, row in enumerate((sheet.headings, *sheet.rows), 1):
        for place, value in enumerate(row, 1):
            _fill(page, number, place, _plain(value))
    _dress(page, sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def to_json(value: object) -> bytes:
    """Return a value as JSON to be read by people too; what is no number in JSON becomes null."""
    return (json.dumps(_finite(value), ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def sheet_rows(sheet: Sheet) -> list[dict[str, JsonValue]]:
    """Return the rows as objects."""
    return [dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows]


def _plain(value: JsonValue) -> Cell:
    """Return a value as one cell: lists and objects as JSON in one line."""
    if isinstance(value, list | dict):
        return json.dumps(_finite(value), ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _csv_cell(value: JsonValue) -> str:
    match _plain(value):
        case None:
            return ""
        case bool() as yes:
            return "true" if yes else "false"
        case str() as text:
            return _guarded(text)
        case number:
            return str(number)


def _guarded(text: str) -> str:
    """Put an apostrophe before what may be run; a text that is a number is none."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _fill(page: "Worksheet", row: int, column: int, value: Cell) -> None:
    cell = page.cell(row, column)
    if isinstance(value, int) and not isinstance(value, bool) and len(str(abs(value))) > XLSX_DIGITS:
        value = str(value)
    if isinstance(value, str):
        day = _day(value)
        if day is not None:
            cell.value = day
            cell.number_format = "yyyy-mm-dd"
            return
        text = _NOT_IN_XML.sub("\ufffd", value)
        cell.value = text if len(text) <= XLSX_CELL_CHARS else text[: XLSX_CELL_CHARS - 1] + "…"
        cell.data_type = "s"  # else what begins with = would be a formula
        return
    cell.value = value


def _day(text: str) -> date | None:
    """Return the day that a text is; those before 1900-03-01 Excel counts wrongly, so they stay texts."""
    if not _DATE.fullmatch(text) or text < "1900-03-01":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _dress(page: "Worksheet", sheet: Sheet) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    for place, heading in enumerate(sheet.headings, 1):
        page.cell(1, place).font = Font(bold=True)
        widths = [_width(heading), *(_width(str(_plain(row[place - 1]) or "")) for row in sheet.rows)]
        page.column_dimensions[get_column_letter(place)].width = min(max(widths) + 2, WIDEST_COLUMN)
        if max(widths) > WIDEST_COLUMN:
            for row in range(2, len(sheet.rows) + 2):
                page.cell(row, place).alignment = Alignment(wrap_text=True, vertical="top")
    page.freeze_panes = "A2"


def _width(text: str) -> int:
    """Return how wide the widest line of a text is, in Latin letters."""
    return max((sum(2 if ord(char) > 0x2E7F else 1 for char in line) for line in text.split("\n")), default=0)
