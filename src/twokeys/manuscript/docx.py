"""The document as DOCX: Word's own styles, a contents field, page numbers, fonts for Chinese.

The contents are filled in here with links to the headings, without page numbers; Word adds them when
it brings the field up to date as the file is opened.
"""

import io
import re
from dataclasses import replace
from typing import Any

from docx import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from twokeys.manuscript.docx_styles import add_instruction, add_mark, set_up
from twokeys.manuscript.docx_text import add_text, write
from twokeys.manuscript.manuscript import Manuscript, ManuscriptPart

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_docx(document: Manuscript) -> bytes:
    """Return the whole document as the bytes of a DOCX file."""
    document = _for_xml(document)
    word = Document()
    set_up(word, document)
    write(word.add_paragraph(style="Title"), document.title)
    write(word.add_paragraph(style="Subtitle"), document.subtitle)
    if document.abstract:
        write(word.add_paragraph(style="Contents Heading"), document.word("abstract"))
        add_text(word, document.abstract)
    parts = list(document.parts)
    if document.glossary:
        parts.append(ManuscriptPart(1, "", document.word("glossary"), document.glossary))
    if document.parts:
        write(word.add_paragraph(style="Contents Heading"), document.word("contents"))
        _add_contents(word, parts)
    for number, part in enumerate(parts):
        heading = word.add_heading(level=part.level)
        heading.paragraph_format.page_break_before = (number == 0 and bool(document.parts)) or None
        _mark_place(heading, number, part.heading)
        add_text(word, part.text)
    file = io.BytesIO()
    word.save(file)
    return file.getvalue()


def _for_xml(document: Manuscript) -> Manuscript:
    """Leave out the characters that XML cannot hold."""

    def clean(text: str) -> str:
        return _NOT_IN_XML.sub("", text)

    parts = tuple(replace(part, title=clean(part.title), text=clean(part.text)) for part in document.parts)
    return replace(
        document,
        title=clean(document.title),
        parts=parts,
        abstract=clean(document.abstract),
        glossary=clean(document.glossary),
    )


def _add_contents(word: Any, parts: list[ManuscriptPart]) -> None:
    """Add the contents field with an entry for every heading, which leads there."""
    for number, part in enumerate(parts):
        paragraph = word.add_paragraph(style=f"toc {part.level}")
        if number == 0:
            add_mark(paragraph, "begin")
            add_instruction(paragraph, 'TOC \\o "1-3" \\h \\z \\u')
            add_mark(paragraph, "separate")
        link = OxmlElement("w:hyperlink")
        link.set(qn("w:anchor"), _place(number))
        link.set(qn("w:history"), "1")
        link.append(write(paragraph, part.heading)._r)
        paragraph._p.append(link)
        if number == len(parts) - 1:
            add_mark(paragraph, "end")


def _mark_place(heading: Any, number: int, text: str) -> None:
    """Write a heading between the marks of a place that links can lead to."""
    start, end = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
    for mark in (start, end):
        mark.set(qn("w:id"), str(number))
    start.set(qn("w:name"), _place(number))
    heading._p.append(start)
    write(heading, text)
    heading._p.append(end)


def _place(number: int) -> str:
    return f"_Toc{number + 1:06}"
