"""PPTX: each slide's title, texts, tables and speaker notes, from top to bottom."""

import io
from collections.abc import Iterator
from typing import Any

from twokeys.documents.archive import open_archive
from twokeys.documents.document import Passage
from twokeys.documents.refusal import Refusal
from twokeys.documents.table import markdown_table


def read_pptx(data: bytes) -> list[Passage]:
    """Return the slides. Raises Refusal."""
    from pptx import Presentation

    open_archive(data).close()
    try:
        presentation: Any = Presentation(io.BytesIO(data))
        return [_slide(number, slide) for number, slide in enumerate(presentation.slides, start=1)]
    except MemoryError:
        raise
    except Exception as exc:  # the library lets through whatever a broken part makes of it
        raise Refusal("broken", reason=f"{type(exc).__name__}: {exc}") from exc


def _slide(number: int, slide: Any) -> Passage:
    head = slide.shapes.title
    title = " ".join(head.text_frame.text.split()) if head is not None else ""
    blocks = [f"# {title}"] if title else []
    shapes = sorted(_flat(slide.shapes), key=lambda shape: (shape.top or 0, shape.left or 0))
    for shape in shapes:
        if head is not None and shape.shape_id == head.shape_id:
            continue
        if getattr(shape, "has_table", False) and shape.has_table:
            blocks.append(markdown_table([[cell.text for cell in row.cells] for row in shape.table.rows]))
        elif shape.has_text_frame:
            blocks.append("\n".join(_paragraphs(shape.text_frame)))
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        blocks += [f"> {line}" for line in notes.text.splitlines() if line.strip()]
    return Passage(number, title, "\n\n".join(block for block in blocks if block))


def _flat(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _flat(shape.shapes)
        else:
            yield shape


def _paragraphs(frame: Any) -> Iterator[str]:
    for paragraph in frame.paragraphs:
        text = paragraph.text.replace("\v", "\n").strip()
        if text:
            yield f"{'  ' * (paragraph.level - 1)}- {text}" if paragraph.level else text
