"""What a reader sees of an exported text: a page, a Word file or plain text, read back into one value."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from docx import Document
from docx.oxml.ns import qn
from lxml import html

from twokeys.manuscript.docx import to_docx
from twokeys.manuscript.manuscript import Manuscript, ManuscriptPart
from twokeys.manuscript.page import render
from twokeys.manuscript.plain import strip_marks

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
BLOCKS = {"p", "li", "td", "th", "h1", "h2", "h3", "h4", "pre", "blockquote", "tr", "table", "ul", "ol"}


@dataclass(slots=True)
class Seen:
    """text: all of it, with line breaks. formulas: how many are drawn as such. The rest as in the cases."""

    text: str = ""
    bold: list[str] = field(default_factory=list)
    formulas: int = 0
    sub: list[str] = field(default_factory=list)
    sup: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    items: list[tuple[str, int]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    rtl: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [plain(line) for line in self.text.splitlines()]


def plain(text: str) -> str:
    """Return a text with every run of white space as one blank."""
    return " ".join(text.split())


# ---- the page -------------------------------------------------------------------------------


def seen_in_html(text: str) -> Seen:
    return seen_in_tree(html.fragment_fromstring(render(text), create_parent="div"))


def seen_in_tree(root: Any) -> Seen:
    """Return what is seen of an element that holds a text as HTML."""
    seen = Seen(text="".join(_flow(root)))
    seen.formulas = len(root.findall(".//math"))
    for name in ("sub", "sup"):
        getattr(seen, name).extend(_words(entry) for entry in root.iter(name))
    seen.bold = [_words(entry) for entry in root.iter("strong", "th")]
    seen.code = [plain(entry.text_content()) for entry in root.iter("code")]
    seen.items = [(_first_line(li), len(list(li.iterancestors("ul", "ol")))) for li in root.iter("li")]
    cells = ("".join(_flow(entry)) for entry in root.iter("th", "td"))
    seen.cells = ["\n".join(line.strip() for line in cell.strip().splitlines()) for cell in cells]
    inner = (entry for entry in root.iter("p", "li", "td", "th") if entry.get("dir") == "rtl")
    seen.rtl = [_words(entry) for entry in inner if not (entry.tag == "li" and entry.find("p") is not None)]
    return seen


def _flow(node: Any) -> Iterator[str]:
    if node.tag == "math":
        yield "\n" if node.get("display") else " "
    else:
        if node.tag == "br" or node.tag in BLOCKS:
            yield "\n"
        yield (node.text or "") if node.tag == "pre" else (node.text or "").replace("\n", " ").strip("\n")
        for child in node:
            yield from _flow(child)
    yield (node.tail or "").replace("\n", " ") if node.getparent() is not None else ""


def _words(node: Any) -> str:
    return plain("".join(_flow_within(node)))


def _flow_within(node: Any) -> Iterator[str]:
    yield node.text or ""
    for child in node:
        yield from _flow_within(child)
        yield child.tail or ""


def _first_line(item: Any) -> str:
    for line in "".join(_flow(item)).splitlines():
        if line.strip():
            return plain(line)
    return ""


# ---- Word -----------------------------------------------------------------------------------


def seen_in_docx(text: str) -> Seen:
    document = Document(io.BytesIO(to_docx(Manuscript("T", "S", "zh", (ManuscriptPart(1, "1", "A", text),)))))
    seen = Seen()
    blocks = list(document.iter_inner_content())
    heading = next(i for i, block in enumerate(blocks) if _style(block).startswith("Heading"))
    for block in blocks[heading + 1 :]:
        if hasattr(block, "rows"):
            for row in block.rows:
                for cell in row.cells:
                    seen.cells.append(cell.text)
                    for paragraph in cell.paragraphs:
                        _read_paragraph(paragraph, seen)
        else:
            _read_paragraph(block, seen)
    return seen


def _style(block: Any) -> str:
    return str(block.style.name) if block.style is not None else ""


def _read_paragraph(paragraph: Any, seen: Seen) -> None:
    style = _style(paragraph)
    pieces: list[tuple[str, str]] = []
    for node in paragraph._p.iter(qn("w:t"), qn("w:br"), f"{M}oMath"):
        if node.tag == f"{M}oMath":
            seen.formulas += 1
            pieces.append((" ", ""))
        elif node.tag == qn("w:br"):
            pieces.append(("\n", ""))
        elif node.getparent().tag == qn("w:r"):
            pieces.append((node.text or "", _look(node.getparent())))
    words = "".join(piece for piece, _ in pieces)
    seen.text += words + "\n"
    for name, mark in (("bold", "b"), ("sub", "v"), ("sup", "^"), ("code", "c")):
        getattr(seen, name).extend(_together(pieces, mark))
    if style == "Code":
        seen.code.append(plain(words))
    depth = re.match(r"List (?:Number|Bullet)(?: (\d))?$", style)
    if depth:
        seen.items.append((plain(words.split("\n")[0]), int(depth[1] or 1)))
    if paragraph._p.pPr is not None and paragraph._p.pPr.find(qn("w:bidi")) is not None:
        assert all(
            run.find(qn("w:rPr")).find(qn("w:rtl")) is not None for run in paragraph._p.iter(qn("w:r"))
        )
        seen.rtl.append(plain(words))


def _look(run: Any) -> str:
    match = run.find(qn("w:rPr"))
    if match is None:
        return ""
    marks = "b" if match.find(qn("w:b")) is not None else ""
    style = match.find(qn("w:rStyle"))
    marks += "c" if style is not None and style.get(qn("w:val")) == "InlineCode" else ""
    script = match.find(qn("w:vertAlign"))
    value = script.get(qn("w:val")) if script is not None else ""
    return marks + {"subscript": "v", "superscript": "^"}.get(value, "")


def _together(pieces: list[tuple[str, str]], mark: str) -> list[str]:
    """Join neighbours that share a mark."""
    joined: list[str] = []
    going = False
    for text, marks in pieces:
        if mark in marks:
            joined[-1:] = [joined[-1] + text] if going else [*joined[-1:], text]
        going = mark in marks
    return [plain(entry) for entry in joined]


# ---- plain text -----------------------------------------------------------------------------


def seen_in_text(text: str) -> Seen:
    return Seen(text=strip_marks(text))


__all__ = ["Seen", "plain", "seen_in_docx", "seen_in_html", "seen_in_text", "seen_in_tree"]
