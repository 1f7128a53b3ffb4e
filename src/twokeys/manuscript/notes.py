"""Source notes from a person's files: Markdown or plain text, and DOCX."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from twokeys.core.writer.project import MAX_NOTES_CHARS
from twokeys.errors import BadFile, Reason

MAX_BYTES = 20_000_000
MAX_UNPACKED_BYTES = 100_000_000


def read_notes(data: bytes, name: str) -> str:
    """Return the text of a file of notes, headings marked as in Markdown.

    Raises BadFile for another kind of file, one that cannot be read, or one that is too large.
    """
    ending = name.lower().rpartition(".")[2]
    if len(data) > MAX_BYTES:
        raise BadFile(name=name, reason=Reason("writing.error.field_too_long", limit=MAX_NOTES_CHARS))
    if ending == "docx":
        text = _read_docx(data, name)
    elif ending in ("md", "markdown", "txt", "text"):
        text = _decode(data, name)
    else:
        raise BadFile(name=name, reason=Reason("writing.error.bad_notes"))
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > MAX_NOTES_CHARS:
        raise BadFile(name=name, reason=Reason("writing.error.field_too_long", limit=MAX_NOTES_CHARS))
    return text


def _decode(data: bytes, name: str) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadFile(name=name, reason=Reason("writing.error.bad_notes"))


def _read_docx(data: bytes, name: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise BadFile(name=name, reason=Reason("writing.error.bad_docx"))
        return "\n\n".join(_docx_lines(data))
    except BadFile:
        raise
    except Exception as exc:
        # the library follows a broken file into errors of every kind: of zip, XML, numbers, missing parts
        raise BadFile(name=name, reason=Reason("writing.error.bad_docx")) from exc


def _docx_lines(data: bytes) -> Iterator[str]:
    """Yield the paragraphs and the tables' rows, no more than notes may have."""
    from docx import Document
    from docx.table import Table

    document: Any = Document(io.BytesIO(data))
    left = MAX_NOTES_CHARS + 1
    for block in document.iter_inner_content():
        lines = _rows(block) if isinstance(block, Table) else [_paragraph(block)]
        for line in lines:
            if line:
                yield line
                left -= len(line)
                if left < 0:
                    return


def _rows(table: Any) -> Iterator[str]:
    """Yield the rows of a table: the cells that are there, however many columns they say they span."""
    from docx.table import _Cell

    for row in table._tbl.tr_lst:
        yield " | ".join(_Cell(cell, table).text.strip() for cell in row.tc_lst)


def _paragraph(paragraph: Any) -> str:
    text, style = paragraph.text.strip(), str(paragraph.style.name or "")
    if not text:
        return ""
    if style.startswith(("Heading", "Title")):
        level = int(style[-1]) if style[-1] in "123456" else 1
        return f"{'#' * level} {text}"
    return f"- {text}" if style.startswith("List") else text
