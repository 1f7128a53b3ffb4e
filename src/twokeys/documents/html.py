"""HTML and XHTML as Markdown: headings, paragraphs, lists, tables, code. Fetches nothing.

Links and pictures become their text. Scripts, styles and what is marked hidden are left out.
"""

import re
from typing import Any

from twokeys.documents.document import Passage
from twokeys.documents.encoding import decode
from twokeys.documents.passages import passages_of_markdown
from twokeys.documents.plain import fenced
from twokeys.documents.refusal import Refusal
from twokeys.documents.table import markdown_table

_LEFT_OUT = frozenset(
    ("script style noscript template head svg math object iframe select datalist").split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    (  # noqa: SIM905  a list would be a line for each
        "address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer"
        " form header hr html legend main nav ol p section summary ul"
    ).split()
)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def read_html(data: bytes) -> tuple[list[Passage], str]:
    """Return a page, split at its headings, and its encoding."""
    decoded = decode(data, declares=True)
    return passages_of_markdown(markdown_of_html(decoded.text)), decoded.encoding


def markdown_of_html(text: str) -> str:
    """Return the text of a page as Markdown."""
    from lxml import etree, html

    parser = html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(_DECLARATION.sub("", text), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as exc:
        raise Refusal("broken", reason=str(exc)) from exc
    writer = _Writer()
    writer.walk(root)
    return writer.text()


class _Writer:
    """Blocks of Markdown, in the order of the page."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._line: list[str] = []
        self._lists: list[int | None] = []

    def text(self) -> str:
        self._end_block()
        return re.sub(r"\n\n(?=(?:  )*(?:- |\d+\. ))", self._tight, "\n\n".join(self._blocks))

    def walk(self, element: Any) -> None:
        """Write an element and what is in it."""
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag and tag not in _LEFT_OUT and "hidden" not in element.attrib:
            self._element(element, tag)

    def _element(self, element: Any, tag: str) -> None:
        if tag == "table":
            self._table(element)
        elif tag == "pre":
            self._end_block()
            self._add(fenced("".join(element.itertext())))
        elif re.fullmatch("h[1-6]", tag):
            self._end_block()
            self._inside(element)
            self._end_block(f"{'#' * int(tag[1])} ")
        elif tag == "li":
            self._end_block()
            self._inside(element)
            self._end_item()
        elif tag == "br":
            self._line.append("\n")
        elif tag == "img":
            self._line.append(element.get("alt") or "")
        else:
            self._container(element, tag)

    def _container(self, element: object, tag: str) -> None:
        block = tag in _BLOCKS
        if block:
            self._end_item() if self._line and self._lists else self._end_block()
        if tag in ("ul", "ol"):
            self._lists.append(None if tag == "ul" else 1)
        self._inside(element)
        if block and not (self._lists and tag in ("p", "div")):
            self._end_block()
        if tag in ("ul", "ol"):
            self._lists.pop()

    def _inside(self, element: Any) -> None:
        self._line.append(element.text or "")
        for child in element:
            self.walk(child)
            self._line.append(child.tail or "")

    def _table(self, table: Any) -> None:
        self._end_block()
        rows = []
        for row in table.iter("tr"):
            if next(row.iterancestors("table")) is not table:
                continue
            cells: list[str] = []
            for cell in row:
                if cell.tag in ("td", "th"):
                    cells.append(" ".join("".join(_shown_text(cell)).split()))
                    cells += [""] * (_span(cell) - 1)
            rows.append(cells)
        if (caption := table.find("caption")) is not None:
            self._add(" ".join("".join(caption.itertext()).split()))
        self._add(markdown_table(rows))

    def _end_item(self) -> None:
        """End the line of a list; its number or dash is written once."""
        if not self._lists or not "".join(self._line).strip():
            self._end_block()
            return
        number = self._lists[-1]
        mark = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1
        self._end_block("  " * (len(self._lists) - 1) + mark)

    def _end_block(self, mark: str = "") -> None:
        lines = [" ".join(line.split()) for line in "".join(self._line).split("\n" if mark == "" else "\0")]
        self._line = []
        text = "\n".join(line for line in lines if line)
        if text:
            self._add(mark + text)

    def _add(self, block: str) -> None:
        if block:
            self._blocks.append(block)

    @staticmethod
    def _tight(match: "re.Match[str]") -> str:
        """Let the items of a list follow each other without empty lines."""
        before = match.string[: match.start()].rpartition("\n")[2]
        return "\n" if re.match(r"(?:  )*(?:- |\d+\. )", before) else "\n\n"


def _shown_text(element: Any) -> list[str]:
    texts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in _LEFT_OUT:
            texts += [" "] if child.tag in ("br", "p", "div", "li") else []
            texts += _shown_text(child)
        texts.append(child.tail or "")
    return texts


def _span(cell: Any) -> int:
    span = str(cell.get("colspan") or "1")
    return min(int(span), 100) if span.isdigit() and int(span) else 1
