"""The text of PDF pages through PDFium: words whole, lines in order, and what is no readable PDF."""

import io

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from twokeys.documents import pdf
from twokeys.documents.pdf import read_pdf
from twokeys.documents.refusal import Refusal


def drawn(*pages: tuple[tuple[float, float, str], ...], password: str | None = None) -> bytes:
    """A PDF with texts at places of its pages, in points from the lower left corner."""
    data = io.BytesIO()
    canvas = Canvas(data, encrypt=StandardEncryption(password) if password else None)
    for page in pages:
        for left, bottom, text in page:
            canvas.drawString(left, bottom, text)
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def problem(data: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        read_pdf(data)
    return caught.value.problem


def test_pages_keep_their_numbers_and_their_lines_the_order_of_the_page() -> None:
    pages = read_pdf(
        drawn(((60, 700, "second line"), (60, 720, "first line")), (), ((60, 700, "third page"),))
    )
    assert [(page.number, page.text) for page in pages] == [
        (1, "first line\nsecond line"),
        (2, ""),
        (3, "third page"),
    ]


def test_words_far_apart_in_equal_rows_are_a_table() -> None:
    rows = tuple(
        (left, 700.0 - 20 * line, text)
        for line, row in enumerate((("tea", "price"), ("green", "12")))
        for left, text in zip((60.0, 300.0), row, strict=True)
    )
    [page] = read_pdf(drawn(rows))
    assert page.text == "| tea | price |\n| --- | --- |\n| green | 12 |"


def test_what_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(drawn(((60, 700, "secret"),), password="p")) == "encrypted"
    assert problem(drawn((), ())) == "scanned"
    assert problem(b"%PDF-1.7 and no more") == "broken"
    monkeypatch.setattr(pdf, "MAX_PASSAGES", 1)
    assert problem(drawn(((60, 700, "a"),), ((60, 700, "b"),))) == "too_many_pages"
