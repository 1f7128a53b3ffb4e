"""The corpus the readers are held against: our own texts in both languages, written as every kind of file.

Each case says the characters that have to come out, in this order, and the cells of its tables.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docx import Document as NewDocx
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

HEADS = {"zh": ("第一条 标的", "第七条 交货", "第九条 争议"), "en": ("1 Subject", "7 Delivery", "9 Disputes")}
PARAGRAPHS = {
    "zh": (
        "卖方向买方出售茶叶一千二百公斤，产地为福建省武夷山市，等级为特级。",
        "卖方应当于2027年3月15日之前将全部货物运至买方位于杭州的仓库，逾期每日支付合同总价千分之五的违约金。",
        "双方因本合同发生争议的，先行协商；协商不成的，提交原告所在地人民法院解决。",
    ),
    "en": (
        "The seller sells to the buyer 1200 kilograms of tea grown in the hills above the river.",
        "All goods shall reach the buyer's warehouse in Leeds before 15 March 2027;"
        " each day of delay costs half a per cent.",
        "Disputes are first talked over between the parties; failing that, the courts of Leeds decide.",
    ),
}
TABLE = {
    "zh": (
        ("品名", "数量", "单价"),
        ("大红袍", "300", "480.5"),
        ("正山小种", "900", "260"),
        ("合计", "1200", ""),
    ),
    "en": (
        ("Item", "Count", "Price"),
        ("Green tea", "300", "480.5"),
        ("Black tea", "900", "260"),
        ("Total", "1200", ""),
    ),
}
LATIN = "Le café est fermé à Noël; Größe und Übermaß; señor, mañana. La naïveté coûte cher à l'été."
TRADITIONAL = "賣方應當於三月十五日之前將全部貨物運至買方倉庫，逾期每日支付合同總價千分之五的違約金。"


@dataclass(frozen=True)
class Case:
    """A file, the texts in it in order, its tables, and the encoding that has to be found."""

    name: str
    data: bytes
    texts: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()
    encoding: str | None = None


def corpus() -> Iterator[Case]:
    """Yield every case."""
    for language in ("zh", "en"):
        yield from _plain(language)
        yield from _marked_up(language)
        yield from _office(language)
        yield from _pdf(language)
    yield Case("latin.txt", LATIN.encode("latin-1"), (LATIN,), encoding="cp1252")
    yield Case("latin-16.txt", LATIN.encode("utf-16-le"), (LATIN,), encoding="utf_16_le")
    yield Case("trad.txt", TRADITIONAL.encode("big5"), (TRADITIONAL,), encoding="big5")
    yield Case("short.txt", "绿茶".encode("gb18030"), ("绿茶",), encoding="gb18030")


def texts_of(language: str) -> tuple[str, ...]:
    """Return headings and paragraphs in their order."""
    return tuple(text for pair in zip(HEADS[language], PARAGRAPHS[language], strict=True) for text in pair)


def _plain(language: str) -> Iterator[Case]:
    texts = texts_of(language)
    prose = "\r\n\r\n".join(texts)
    yield Case(f"{language}.txt", prose.encode(), texts, encoding="utf-8")
    yield Case(f"{language}-bom.txt", prose.encode("utf-8-sig"), texts, encoding="utf-8")
    yield Case(f"{language}-16.txt", prose.encode("utf-16"), texts, encoding="utf-16")
    if language == "zh":
        yield Case("zh-gb.txt", prose.encode("gb18030"), texts, encoding="gb18030")
        yield Case("zh-16be.txt", prose.encode("utf-16-be"), texts, encoding="utf_16_be")
    markdown = "\n\n".join(
        f"## {h}\n\n{p}" for h, p in zip(HEADS[language], PARAGRAPHS[language], strict=True)
    )
    yield Case(f"{language}.md", markdown.encode(), texts)
    code = f'"""{texts[0]}"""\n\n\ndef f(a: int) -> str:\n    # {texts[1]}\n    return "```" * a\n'
    yield Case(f"{language}.py", code.encode(), (code.strip(),))
    rows = TABLE[language]
    csv = "\n".join(",".join(f'"{value}"' for value in row) for row in rows)
    yield Case(f"{language}.csv", csv.encode("gb18030" if language == "zh" else "utf-8"), (), rows)
    yield Case(f"{language}-semicolon.csv", csv.replace('","', '";"').encode(), (), rows)
    yield Case(f"{language}.tsv", "\n".join("\t".join(row) for row in rows).encode(), (), rows)
    yield Case(f"{language}.json", f'{{"a": ["{texts[0]}", 7]}}'.encode(), (f'{{"a": ["{texts[0]}", 7]}}',))


def _marked_up(language: str) -> Iterator[Case]:
    texts, rows = texts_of(language), TABLE[language]
    cells = "".join("<tr>" + "".join(f"<td><b>{v}</b></td>" for v in row) + "</tr>" for row in rows)
    body = "".join(
        f"<h2>{head}</h2><p>{text}</p>"
        for head, text in zip(HEADS[language], PARAGRAPHS[language], strict=True)
    )
    for encoding, name in (("utf-8", "utf-8"), ("gb2312" if language == "zh" else "windows-1252", "")):
        page = (
            f'<!DOCTYPE html><html><head><meta charset="{encoding}"><title>no</title>'
            "<script>var no = 1;</script>"
            f"<style>p {{}}</style></head><body>{body}<p hidden>no</p><table>{cells}</table></body></html>"
        )
        yield Case(f"{language}{name}.html", page.encode(encoding), texts, rows)
    yield Case(f"{language}.epub", _epub(body, cells), texts, rows)


def _epub(body: str, cells: str) -> bytes:
    opf = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
        '<item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    page = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container.encode(),
            "OEBPS/book.opf": opf.encode(),
            "OEBPS/text/b b.xhtml": page.format(f"<table>{cells}</table>").encode(),
            "OEBPS/text/a.xhtml": page.format(body).encode(),
        }
    )


def zipped(files: dict[str, bytes]) -> bytes:
    """Return an archive of these files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def _office(language: str) -> Iterator[Case]:
    texts, rows = texts_of(language), TABLE[language]
    yield Case(f"{language}.docx", docx(language), texts, rows)
    book = Workbook()
    sheet = book.active
    for row in rows:
        sheet.append([float(v) if v.replace(".", "").isdigit() else v or None for v in row])
    yield Case(f"{language}.xlsx", _saved(book), (), rows)
    show = Presentation()
    for head, text in zip(HEADS[language], PARAGRAPHS[language], strict=True):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = head, text
    frame = show.slides.add_slide(show.slide_layouts[6]).shapes.add_table(
        len(rows), len(rows[0]), Inches(1), Inches(1), Inches(6), Inches(3)
    )
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            frame.table.cell(y, x).text = value
    yield Case(f"{language}.pptx", _saved(show), texts, rows)


def docx(language: str) -> bytes:
    """Return the contract as DOCX."""
    document = NewDocx()
    for head, text in zip(HEADS[language], PARAGRAPHS[language], strict=True):
        document.add_heading(head, level=2)
        document.add_paragraph(text)
    rows = TABLE[language]
    table = document.add_table(len(rows), len(rows[0]))
    for row, values in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    return _saved(document)


def _saved(document: Any) -> bytes:
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def _pdf(language: str) -> Iterator[Case]:
    yield Case(f"{language}.pdf", pdf(language), texts_of(language), TABLE[language])
    left, right = (
        _lines(language, text) for text in (PARAGRAPHS[language][1] * 3, PARAGRAPHS[language][2] * 3)
    )
    texts = (HEADS[language][0], "".join(left), "".join(right))
    yield Case(f"{language}-columns.pdf", _columns(language, left, right, across=False), texts)
    yield Case(f"{language}-across.pdf", _columns(language, left, right, across=True), texts)


def pdf(language: str, *, pages: int = 1) -> bytes:
    """Return the contract as PDF, with a table below, on so many pages."""
    data = io.BytesIO()
    canvas = _canvas(data, language)
    for _ in range(pages):
        _font(canvas, language)
        y = 780
        for text in texts_of(language):
            for line in _lines(language, text, 70):
                canvas.drawString(60, y, line)
                y -= 16
        for row in TABLE[language]:
            for x, value in enumerate(row):
                canvas.drawString(60 + 150 * x, y, value)
            y -= 18
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def _columns(language: str, left: list[str], right: list[str], *, across: bool) -> bytes:
    """across: the file holds line beside line, as some programs write columns."""
    data = io.BytesIO()
    canvas = _canvas(data, language)
    _font(canvas, language)
    canvas.drawString(60, 780, HEADS[language][0])
    placed = [
        (x, 750 - 14 * i, line) for x, side in ((60, left), (320, right)) for i, line in enumerate(side)
    ]
    for x, y, line in sorted(placed, key=lambda place: -place[1]) if across else placed:
        canvas.drawString(x, y, line)
    canvas.save()
    return data.getvalue()


def _canvas(data: io.BytesIO, language: str) -> Any:
    if language == "zh":
        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return Canvas(data, pagesize=A4)


def _font(canvas: Any, language: str) -> None:
    canvas.setFont("STSong-Light" if language == "zh" else "Helvetica", 11)


def _lines(language: str, text: str, width: int = 40) -> list[str]:
    """Return a text in lines of so many columns, as wide as a column of a page."""
    if language == "zh":
        return [text[at : at + width // 2] for at in range(0, len(text), width // 2)]
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return lines
