"""Source notes from a person's files: Markdown or plain text, and DOCX."""

import io
import zipfile
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
    from docx import Document
    from docx.table import Table

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise BadFile(name=name, reason=Reason("writing.error.bad_docx"))
        document: Any = Document(io.BytesIO(data))
        lines: list[str] = []
        for block in document.iter_inner_content():
            if isinstance(block, Table):
                lines += [" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows]
                continue
            text, style = block.text.strip(), str(block.style.name or "")
            if text and style.startswith(("Heading", "Title")):
                level = style[-1] if style[-1].isdigit() else "1"
                lines.append(f"{'#' * min(int(level), 6)} {text}")
            elif text:
                lines.append(f"- {text}" if style.startswith("List") else text)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as exc:
        raise BadFile(name=name, reason=Reason("writing.error.bad_docx")) from exc
    return "\n\n".join(lines)
