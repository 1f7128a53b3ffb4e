"""PDF: the text of each page in reading order. Pictures are not read, scripts and forms are not run."""

import ctypes
from typing import Any

from twokeys.documents.document import Passage
from twokeys.documents.layout import TextRun, reading_order
from twokeys.documents.limits import MAX_PASSAGES
from twokeys.documents.refusal import Refusal

PASSWORD_ERRORS = (4, 5)
"""PDFium's codes for a password that is missing and a protection it does not know."""


def read_pdf(data: bytes) -> list[Passage]:
    """Return the pages. Raises Refusal: "encrypted", "broken", "too_many_pages", "scanned"."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
        count = len(pdf)
    except pypdfium2.PdfiumError as exc:
        if exc.err_code in PASSWORD_ERRORS:
            raise Refusal("encrypted") from exc
        raise Refusal("broken", reason=str(exc)) from exc
    if count > MAX_PASSAGES:
        raise Refusal("too_many_pages", pages=count, limit=MAX_PASSAGES)
    pages = [_page(pdf, index) for index in range(count)]
    if pages and not any(page.text for page in pages):
        raise Refusal("scanned", pages=count)
    return pages


def _page(pdf: Any, index: int) -> Passage:
    import pypdfium2

    try:
        page = pdf[index]
        text_page = page.get_textpage()
        runs = _runs(text_page.raw)
        text_page.close()
        page.close()
    except pypdfium2.PdfiumError as exc:
        raise Refusal("broken", reason=f"{index + 1}: {exc}") from exc
    return Passage(index + 1, "", reading_order(runs))


def _runs(text_page: object) -> list[TextRun]:
    """Return the page's text in runs: pieces of a line that no wide gap interrupts."""
    from pypdfium2 import raw

    runs: list[TextRun] = []
    run: TextRun | None = None
    box = raw.FS_RECTF()
    for index in range(raw.FPDFText_CountChars(text_page)):
        code = raw.FPDFText_GetUnicode(text_page, index)
        if code in (0, 10, 13):
            run = None if code else run
            continue
        if raw.FPDFText_IsHyphen(text_page, index) == 1:
            code = 0x00AD
        char = chr(code)
        if raw.FPDFText_IsGenerated(text_page, index) == 1 or char.isspace():
            if run is not None:
                run.text += " "
            continue
        if not raw.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(box)):
            continue
        if run is None or not run.goes_on_at(box.left, box.bottom, box.top):
            run = TextRun("", box.left, box.bottom, box.right, box.top)
            runs.append(run)
        run.add(char, box.left, box.bottom, box.right, box.top)
    return [run for run in runs if run.text.strip()]
