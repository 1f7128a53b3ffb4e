"""DOCX: headings, paragraphs, lists and tables in their order. Reads no macros, notes or comments."""

import io
import re
from typing import Any

from twokeys.documents.archive import open_archive
from twokeys.documents.document import Passage
from twokeys.documents.passages import passages_of_markdown
from twokeys.documents.refusal import Refusal
from twokeys.documents.table import markdown_table

MOST_COLUMNS = 64
"""A cell may say that it covers millions."""


def read_docx(data: bytes) -> list[Passage]:
    """Return the text, split at its headings."""
    return passages_of_markdown(markdown_of_docx(data))


def markdown_of_docx(data: bytes) -> str:
    """Return the body of a document as Markdown. Raises Refusal."""
    from docx import Document
    from docx.table import Table

    open_archive(data).close()
    try:
        document: Any = Document(io.BytesIO(data))
        blocks = [
            _table(block) if isinstance(block, Table) else _paragraph(block)
            for block in document.iter_inner_content()
        ]
    except Exception as exc:  # the library lets through whatever a broken part makes of it
        raise Refusal("broken", reason=f"{type(exc).__name__}: {exc}") from exc
    return "\n\n".join(block for block in blocks if block)


def _paragraph(paragraph: Any) -> str:
    text = paragraph.text.strip()
    style = str(paragraph.style.name or "")
    if not text:
        return ""
    if style.startswith(("Heading", "Title")):
        level = int(style[-1]) if style[-1].isdigit() else 1
        return f"{'#' * min(max(level, 1), 6)} {' '.join(text.split())}"
    if style.startswith("List"):
        return f"- {text}"
    return re.sub(r"[ \t\xa0]+$", "", text, flags=re.MULTILINE)


def _table(table: Any) -> str:
    """Return a table's cells as they are there; one that covers several columns is followed by empty ones."""
    from docx.table import _Cell

    rows: list[list[str]] = []
    for row in table._tbl.tr_lst:
        cells: list[str] = []
        for cell in row.tc_lst:
            cells.append(_Cell(cell, table).text)
            cells += [""] * (min(int(cell.grid_span), MOST_COLUMNS) - 1)
        rows.append(cells)
    return markdown_table(rows)
