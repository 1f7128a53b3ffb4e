"""XLSX: each sheet as a table, with the values that were stored; nothing is computed."""

import datetime
import io
from typing import Any

from twokeys.documents.archive import open_archive
from twokeys.documents.document import Passage
from twokeys.documents.refusal import Refusal
from twokeys.documents.table import markdown_table

MAX_CELLS = 2_000_000


def read_xlsx(data: bytes) -> list[Passage]:
    """Return the sheets; a chart alone on its sheet has no text. Raises Refusal."""
    from openpyxl import load_workbook

    open_archive(data).close()
    try:
        book: Any = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        texts = [(sheet.title, markdown_table(_rows(sheet))) for sheet in book.worksheets]
    except (Refusal, MemoryError):
        raise
    except Exception as exc:  # the library lets through whatever a broken part makes of it
        raise Refusal("broken", reason=f"{type(exc).__name__}: {exc}") from exc
    return [Passage(number, title, text) for number, (title, text) in enumerate(texts, start=1)]


def _rows(sheet: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    cells = 0
    for row in sheet.iter_rows(values_only=True):
        filled = list(row)
        while filled and filled[-1] is None:
            filled.pop()
        cells += len(filled) + 1
        if cells > MAX_CELLS:
            raise Refusal("too_much_text", limit=MAX_CELLS)
        rows.append([_shown(value) for value in filled])
    return rows


def _shown(value: object) -> str:
    """Return a value as a person writes it: no ".0", no midnight behind a date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    return str(value)
