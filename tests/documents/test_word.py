"""DOCX files that are broken, in every way a file can be: read, or refused."""

import io
import random
import re
import zipfile

import pytest
from docx import Document

from twokeys.documents.refusal import Refusal
from twokeys.documents.word import MOST_COLUMNS, markdown_of_docx

MEMBERS = ("word/document.xml", "word/styles.xml", "word/numbering.xml", "[Content_Types].xml", "_rels/.rels")


def notes() -> bytes:
    document = Document()
    document.add_heading("茶", level=1)
    for number in range(12):
        document.add_paragraph(
            f"第 {number} 段：绿茶的产地", style="List Bullet" if number % 3 == 0 else None
        )
    table = document.add_table(3, 3)
    for row in table.rows:
        for cell in row.cells:
            cell.text = "产量"
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def repacked(data: bytes, name: str, content: bytes) -> bytes:
    """The same file with another content of one member."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, content if member.filename == name else old.read(member))
    return file.getvalue()


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Bytes flipped, cut off or repeated; or one member's XML with tags, attributes and numbers disturbed."""
    kind = draw.randrange(5)
    if kind == 0:
        spoiled = bytearray(data)
        for _ in range(draw.randrange(1, 30)):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        return bytes(spoiled)
    if kind == 1:
        return data[: draw.randrange(len(data))]
    name = draw.choice(MEMBERS)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read(name).decode()
    if kind == 2:  # tags renamed, dropped or doubled
        tags = re.findall(r"<[^>]+>", text)
        for _ in range(draw.randrange(1, 6)):
            tag = draw.choice(tags)
            text = text.replace(tag, draw.choice(["", tag * 2, "<w:odd/>", draw.choice(tags)]), 1)
    elif kind == 3:  # attributes with other values
        for _ in range(draw.randrange(1, 10)):
            values = list(re.finditer(r'"[^"]*"', text))
            value = draw.choice(values)
            odd = draw.choice(
                ['""', '"-1"', '"9999999999999999999"', '"nan"', '"\ud7ff"', '"²"', '"Heading ²"']
            )
            text = text[: value.start()] + odd + text[value.end() :]
    else:
        at = draw.randrange(len(text))
        text = text[:at] + draw.choice(["<", "&", "&odd;", "]]>", "\x01", "<!--", text[at:]]) + text[at + 1 :]
    return repacked(data, name, text.encode("utf-8", "replace"))


def test_a_file_that_was_changed_anywhere_is_read_or_refused() -> None:
    draw, data = random.Random(7), notes()
    refused = 0
    for _ in range(400):
        try:
            assert isinstance(markdown_of_docx(mutated(data, draw)), str)
        except Refusal as refusal:
            refused += 1
            assert refusal.problem
    assert 40 < refused < 400


def test_a_cell_that_says_it_spans_millions_of_columns_is_one_cell() -> None:
    data = notes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read("word/document.xml").decode()
    wide = text.replace("<w:tcPr>", '<w:tcPr><w:gridSpan w:val="20000000"/>')
    assert wide != text
    last = markdown_of_docx(repacked(data, "word/document.xml", wide.encode())).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert len(cells) == 2 * MOST_COLUMNS + 1 and [cell for cell in cells if cell] == ["产量"] * 3


@pytest.mark.parametrize("name", ["word/document.xml", "[Content_Types].xml", "word/styles.xml"])
@pytest.mark.parametrize("content", [b"", b"<", b"<a/>", b"\xff\xfe", b"<w:document/>"])
def test_a_file_with_an_empty_or_foreign_part_is_read_or_refused(name: str, content: bytes) -> None:
    try:
        markdown_of_docx(repacked(notes(), name, content))
    except Refusal:
        return
    assert name == "word/styles.xml"


def test_a_secret_archive_is_refused() -> None:
    data = bytearray(notes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1  # says that it is encrypted
            at = data.find(signature, at + 4)
    with pytest.raises(Refusal):
        markdown_of_docx(bytes(data))
