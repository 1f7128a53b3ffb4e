"""A section's Markdown as paragraphs, lists, quotations, code, formulas and tables of a DOCX."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Emu, Pt
from markdown_it.token import Token

from twokeys.manuscript.docx_styles import ACCENT, PAGE_WIDTH_CM, RULE, SHADE, SIDE_CM, border, shading
from twokeys.manuscript.formula import parse_formula, to_word
from twokeys.manuscript.reader import read, runs_right_to_left

LINKED = ("http://", "https://", "mailto:")
HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
KEPT_TOGETHER = 24
"""Code of so many lines, and tables of so many rows, are not divided between two pages."""

MAX_COLUMNS = 63
"""Word holds no table with more."""

AFTER_BIDI = (
    *("w:adjustRightInd", "w:snapToGrid", "w:spacing", "w:ind", "w:contextualSpacing", "w:mirrorIndents"),
    *("w:suppressOverlap", "w:jc", "w:textDirection", "w:textAlignment", "w:textboxTightWrap"),
    *("w:outlineLvl", "w:divId", "w:cnfStyle", "w:rPr", "w:sectPr", "w:pPrChange"),
)
"""What stands behind the mark of a paragraph from right to left."""

ALIGNMENTS = {
    "left": WD_ALIGN_PARAGRAPH.LEFT,
    "center": WD_ALIGN_PARAGRAPH.CENTER,
    "right": WD_ALIGN_PARAGRAPH.RIGHT,
}


def add_text(word: Any, text: str) -> None:
    """Add a Markdown text to a document."""
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
        elif token.type == "math_block":
            _add_formula(word.add_paragraph(style="Formula"), token)
        elif token.type in ("fence", "code_block"):
            lines = token.content.rstrip("\n")
            paragraph = word.add_paragraph(lines, style="Code")
            paragraph.paragraph_format.keep_together = lines.count("\n") < KEPT_TOGETHER


def write(paragraph: Any, text: str) -> Any:
    """Add a run. With Chinese in it, quotation marks and dashes take the Chinese font's shapes."""
    run = paragraph.add_run(text)
    if HAN.search(text):
        run._r.get_or_add_rPr().get_or_add_rFonts().set(qn("w:hint"), "eastAsia")
    return run


@dataclass(slots=True)
class _List:
    """A list that is open. style: of its items. numbers: its own numbering, None for bullets.
    begun: whether the present item has its mark already."""

    style: str
    numbers: int | None = None
    begun: bool = False


def _paragraph(word: Any, lists: Sequence[_List], *, quoted: bool) -> object:
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


def _add_runs(paragraph: Any, token: Token, *, strong: bool = False) -> None:
    bold, italic, low, high = int(strong), 0, 0, 0
    from_right = runs_right_to_left(token.content)
    if from_right:
        paragraph._p.get_or_add_pPr().insert_element_before(OxmlElement("w:bidi"), *AFTER_BIDI)
    link: Any = None
    for child in token.children or ():
        if child.type in ("strong_open", "strong_close"):
            bold += child.nesting
        elif child.type in ("em_open", "em_close"):
            italic += child.nesting
        elif child.type in ("sub_open", "sub_close"):
            low += child.nesting
        elif child.type in ("sup_open", "sup_close"):
            high += child.nesting
        elif child.type == "link_open":
            link = _add_link(paragraph, str(child.attrGet("href") or ""))
        elif child.type == "link_close":
            link = None
        elif child.type in ("text", "code_inline"):
            run = write(paragraph, child.content)
            if child.type == "code_inline":
                run.style = "Inline Code"
            run.bold, run.italic = bold > 0 or None, italic > 0 or None
            if low > 0:
                run.font.subscript = True
            elif high > 0:
                run.font.superscript = True
            run.font.rtl = from_right or None
            if link is not None:
                run.font.color.rgb, run.font.underline = ACCENT, True
                link.append(run._r)
        elif child.type == "math_inline":
            _add_formula(paragraph, child)
        elif child.type in ("softbreak", "hardbreak"):
            paragraph.add_run().add_break()


def _add_formula(paragraph: Any, token: Token) -> None:
    """Add a formula as Word's own; as its source where it holds something that is not known."""
    formula = parse_formula(token.content)
    if formula is None:
        write(paragraph, token.content).style = "Inline Code"
    elif token.type == "math_block":
        displayed = OxmlElement("m:oMathPara")
        displayed.append(to_word(formula))
        paragraph._p.append(displayed)
    else:
        paragraph._p.append(to_word(formula))


def _add_link(paragraph: Any, address: str) -> object:
    """Add a link to an address of the web or of mail; None for any other."""
    if not address.startswith(LINKED):
        return None
    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    paragraph._p.append(link)
    return link


@dataclass(frozen=True, slots=True)
class _Cell:
    token: Token
    align: str
    head: bool


def _add_table(word: Any, tokens: Iterator[Token]) -> None:
    rows = _table_rows(tokens)
    if not rows:
        return
    columns = max(len(row) for row in rows)
    if columns > MAX_COLUMNS:
        _add_lines(word, rows)
        return
    table = word.add_table(len(rows), columns, style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    _draw_lines(table)
    widths = _widths(rows, columns)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for number, (row, cells) in enumerate(zip(table.rows, rows, strict=True)):
        row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        if any(cell.head for cell in cells):
            row._tr.trPr.append(OxmlElement("w:tblHeader"))
        for place, width in zip(row.cells, widths, strict=True):
            place.width = width
        for place, cell in zip(row.cells, cells, strict=False):
            paragraph = place.paragraphs[0]
            paragraph.style = "Table Text"
            paragraph.alignment = ALIGNMENTS.get(cell.align)
            paragraph.paragraph_format.keep_with_next = number < len(rows) - 1 and len(rows) <= KEPT_TOGETHER
            if cell.head:
                place._tc.get_or_add_tcPr().append(shading(SHADE))
            _add_runs(paragraph, cell.token, strong=cell.head)
            place.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    word.add_paragraph(style="Table Text").paragraph_format.line_spacing = Pt(8)


def _add_lines(word: Any, rows: Sequence[Sequence[_Cell]]) -> None:
    """Add a table that Word cannot hold as a paragraph for each row."""
    for row in rows:
        paragraph = word.add_paragraph(style="Table Text")
        for at, cell in enumerate(row):
            if at:
                write(paragraph, " | ")
            _add_runs(paragraph, cell.token, strong=cell.head)


def _table_rows(tokens: Iterator[Token]) -> list[list[_Cell]]:
    rows: list[list[_Cell]] = []
    align, head = "", False
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            align = str(token.attrGet("style") or "").removeprefix("text-align:")
            head = token.type == "th_open"
        elif token.type == "inline":
            rows[-1].append(_Cell(token, align, head))
    return rows


def _draw_lines(table: Any) -> None:
    """Thin lines between the rows, a stronger one above and below; room within the cells."""
    properties = table._tbl.tblPr
    lines = OxmlElement("w:tblBorders")
    for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
        outer = side in ("top", "bottom")
        lines.append(border(side, "8B9492" if outer else RULE, eighths=8 if outer else 4))
    room = OxmlElement("w:tblCellMar")
    for side, twips in (("top", 50), ("left", 108), ("bottom", 50), ("right", 108)):
        margin = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), str(twips))
        margin.set(qn("w:type"), "dxa")
        room.append(margin)
    for name in ("left", "right", "insideV"):
        lines.find(qn(f"w:{name}")).set(qn("w:val"), "nil")
    properties.insert_element_before(lines, "w:shd", "w:tblLayout", "w:tblCellMar", "w:tblLook")
    properties.insert_element_before(room, "w:tblLook")


def _widths(rows: Sequence[Sequence[_Cell]], columns: int) -> list[Emu]:
    """Give every column a share of the page's width by its longest cell, within bounds."""
    longest = [0] * columns
    for row in rows:
        for at, cell in enumerate(row):
            width = sum(2 if east_asian_width(char) in "WF" else 1 for char in cell.token.content)
            longest[at] = max(longest[at], width)
    shares = [min(max(width, 8), 40) for width in longest]
    whole = Cm(PAGE_WIDTH_CM - 2 * SIDE_CM)
    return [Emu(int(whole * share / sum(shares))) for share in shares]
