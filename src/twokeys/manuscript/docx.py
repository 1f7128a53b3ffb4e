"""The document as DOCX: Word's own styles, a contents field, page numbers, fonts for Chinese.

The contents are filled in here, without page numbers, and Word brings the field up to date when the
file is opened.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from docx import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor
from markdown_it.token import Token

from twokeys.manuscript.manuscript import Manuscript
from twokeys.manuscript.reader import read

LATIN_SERIF, LATIN_SANS, MONO = "Georgia", "Calibri", "Consolas"
HAN_SERIF, HAN_SANS = "宋体", "微软雅黑"
INK = RGBColor(0x21, 0x26, 0x2A)
ACCENT = RGBColor(0x0B, 0x6B, 0x62)
LINKED = ("http://", "https://", "mailto:")
HEADING_POINTS = {1: 17, 2: 13.5, 3: 11.5}


def to_docx(document: Manuscript) -> bytes:
    """Return the whole document as the bytes of a DOCX file."""
    word = Document()
    _set_up(word, document)
    word.add_paragraph(document.title, style="Title")
    word.add_paragraph(document.subtitle, style="Subtitle")
    if document.abstract:
        word.add_paragraph(document.word("abstract"), style="Contents Heading")
        _add_text(word, document.abstract)
    if document.parts:
        word.add_paragraph(document.word("contents"), style="Contents Heading")
        _add_contents(word, document)
        word.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    for part in document.parts:
        word.add_heading(part.heading, level=part.level)
        _add_text(word, part.text)
    if document.glossary:
        word.add_heading(document.word("glossary"), level=1)
        _add_text(word, document.glossary)
    file = io.BytesIO()
    word.save(file)
    return file.getvalue()


def _set_up(word: Any, document: Manuscript) -> None:
    """Set page, properties, styles and the page number."""
    zh = document.language == "zh"
    section = word.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.8)
    section.top_margin = section.bottom_margin = Cm(2.5)
    word.core_properties.title = document.title
    word.core_properties.author = ""
    word.core_properties.comments = ""
    word.core_properties.language = "zh-CN" if zh else "en-US"
    styles = word.styles
    body = styles["Normal"]
    _font(body, LATIN_SERIF, HAN_SERIF, 11, INK)
    body.paragraph_format.space_after = Pt(7)
    body.paragraph_format.line_spacing = 1.45 if zh else 1.25
    for level, points in HEADING_POINTS.items():
        style = styles[f"Heading {level}"]
        _font(style, LATIN_SANS, HAN_SANS, points, ACCENT if level == 1 else INK, bold=True)
        style.paragraph_format.space_before = Pt(20 if level == 1 else 13)
        style.paragraph_format.space_after = Pt(6)
        style.paragraph_format.keep_with_next = True
    _font(styles["Title"], LATIN_SANS, HAN_SANS, 24, INK, bold=True)
    _font(styles["Subtitle"], LATIN_SANS, HAN_SANS, 11.5, RGBColor(0x64, 0x6B, 0x6C))
    styles["Subtitle"].font.italic = False
    plain = styles.add_style("Contents Heading", WD_STYLE_TYPE.PARAGRAPH)
    plain.base_style = body
    _font(plain, LATIN_SANS, HAN_SANS, 13.5, INK, bold=True)
    plain.paragraph_format.space_before = Pt(14)
    text = styles.add_style("Section Text", WD_STYLE_TYPE.PARAGRAPH)
    text.base_style = body
    if zh:
        text.paragraph_format.first_line_indent = Pt(22)
    for level in HEADING_POINTS:
        entry = styles.add_style(f"TOC {level}", WD_STYLE_TYPE.PARAGRAPH)
        entry.base_style = body
        entry.paragraph_format.left_indent = Cm(0.75 * (level - 1))
        entry.paragraph_format.space_after = Pt(2)
    quote = styles["Quote"]
    quote.font.italic = not zh
    quote.paragraph_format.left_indent = quote.paragraph_format.right_indent = Cm(0.75)
    code = styles.add_style("Code", WD_STYLE_TYPE.PARAGRAPH)
    code.base_style = body
    _font(code, MONO, HAN_SANS, 9.5, INK)
    code.paragraph_format.line_spacing = 1.1
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _field(footer, "PAGE", "1")
    update = OxmlElement("w:updateFields")
    update.set(qn("w:val"), "true")
    word.settings.element.append(update)


def _font(style: Any, latin: str, han: str, points: float, colour: RGBColor, *, bold: bool = False) -> None:
    style.font.name, style.font.size, style.font.color.rgb = latin, Pt(points), colour
    style.font.bold = bold
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for name in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
        if fonts.get(qn(name)) is not None:
            del fonts.attrib[qn(name)]
    fonts.set(qn("w:eastAsia"), han)
    fonts.set(qn("w:hAnsi"), latin)


def _field(paragraph: Any, code: str, shown: str) -> None:
    """Put a field of Word into a paragraph, with what it shows until it is brought up to date."""
    _mark(paragraph, "begin")
    _instruction(paragraph, code)
    _mark(paragraph, "separate")
    paragraph.add_run(shown)
    _mark(paragraph, "end")


def _mark(paragraph: Any, kind: str) -> None:
    mark = OxmlElement("w:fldChar")
    mark.set(qn("w:fldCharType"), kind)
    paragraph.add_run()._r.append(mark)


def _instruction(paragraph: Any, code: str) -> None:
    text = OxmlElement("w:instrText")
    text.set(qn("xml:space"), "preserve")
    text.text = f" {code} "
    paragraph.add_run()._r.append(text)


def _add_contents(word: Any, document: Manuscript) -> None:
    last = len(document.parts) - 1
    for number, part in enumerate(document.parts):
        paragraph = word.add_paragraph(style=f"TOC {part.level}")
        if number == 0:
            _mark(paragraph, "begin")
            _instruction(paragraph, 'TOC \\o "1-3" \\h \\z \\u')
            _mark(paragraph, "separate")
        paragraph.add_run(part.heading)
        if number == last:
            _mark(paragraph, "end")


@dataclass(slots=True)
class _List:
    """A list that is open. style: of its items. numbers: its own numbering, None for bullets.
    begun: whether the present item has its mark already."""

    style: str
    numbers: int | None = None
    begun: bool = False


def _add_text(word: Any, text: str) -> None:
    """Add a Markdown text as paragraphs, lists, quotes, code and tables."""
    lists: list[_List] = []
    quotes = 0
    tokens = iter(read(text))
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth = min(len(lists) + 1, 3)
            end = f" {depth}" if depth > 1 else ""
            ordered = token.type.startswith("ordered")
            style = f"List {'Number' if ordered else 'Bullet'}{end}"
            start = int(token.attrGet("start") or 1)
            lists.append(_List(style, _numbering(word, style, start) if ordered else None))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif token.type == "list_item_open":
            lists[-1].begun = False
        elif token.type in ("blockquote_open", "blockquote_close"):
            quotes += token.nesting
        elif token.type == "table_open":
            _add_table(word, tokens)
        elif token.type == "inline":
            _add_runs(_paragraph(word, lists, quoted=quotes > 0), token)
        elif token.type in ("fence", "code_block"):
            for line in token.content.rstrip("\n").split("\n"):
                paragraph = word.add_paragraph(line, style="Code")
                paragraph.paragraph_format.space_after = Pt(0)


def _paragraph(word: Any, lists: Sequence[_List], *, quoted: bool) -> Any:
    """Add a paragraph: of the text, of a quotation, a list's item, or what follows within an item."""
    if not lists:
        return word.add_paragraph(style="Quote" if quoted else "Section Text")
    here = lists[-1]
    if here.begun:
        style = here.style.replace("Number", "Continue").replace("Bullet", "Continue")
        return word.add_paragraph(style=style)
    here.begun = True
    paragraph = word.add_paragraph(style=here.style)
    if here.numbers is not None:
        marks = paragraph._p.get_or_add_pPr().get_or_add_numPr()
        marks.get_or_add_ilvl().val = 0
        marks.get_or_add_numId().val = here.numbers
    return paragraph


def _numbering(word: Any, style: str, start: int) -> int:
    """Return a numbering of its own for a list, in the manner of a style, which begins at `start`."""
    numbering = word.part.numbering_part.numbering_definitions._numbering
    usual = numbering.num_having_numId(word.styles[style].element.pPr.numPr.numId.val)
    own = numbering.add_num(usual.abstractNumId.val)
    own.add_lvlOverride(0).add_startOverride(start)
    return int(own.numId)


def _add_runs(paragraph: Any, token: Token) -> None:
    bold = italic = 0
    link: Any = None
    for child in token.children or ():
        if child.type in ("strong_open", "strong_close"):
            bold += child.nesting
        elif child.type in ("em_open", "em_close"):
            italic += child.nesting
        elif child.type == "link_open":
            link = _add_link(paragraph, str(child.attrGet("href") or ""))
        elif child.type == "link_close":
            link = None
        elif child.type in ("text", "code_inline"):
            run = paragraph.add_run(_clean(child.content))
            run.bold, run.italic = bold > 0 or None, italic > 0 or None
            if child.type == "code_inline":
                run.font.name = MONO
            if link is not None:
                run.font.color.rgb, run.font.underline = ACCENT, True
                link.append(run._r)
        elif child.type in ("softbreak", "hardbreak"):
            paragraph.add_run().add_break()


def _add_link(paragraph: Any, address: str) -> Any:
    """Add a link to an address of the web or of mail; None for any other."""
    if not address.startswith(LINKED):
        return None
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    paragraph._p.append(link)
    return link


def _add_table(word: Any, tokens: Iterator[Token]) -> None:
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    if not rows:
        return
    table = word.add_table(len(rows), max(len(row) for row in rows), style="Table Grid")
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, token in zip(row.cells, cells, strict=False):
            _add_runs(cell.paragraphs[0], token)
    word.add_paragraph()


def _clean(text: str) -> str:
    """Leave out control characters that XML cannot hold."""
    return "".join(char for char in text if char >= " " or char in "\t\n")
