"""Files that are not what they seem: each is refused with a sentence and a next step, in both languages."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from tests.documents.corpus import pdf, zipped

from twokeys.documents import Document, read_document, read_file
from twokeys.documents.limits import MAX_BYTES
from twokeys.errors import BadDocument, from_stored

ENTITY = "TWOKEYS-SECRET"


def refused(data: bytes, name: str) -> str:
    """Return the problem; its sentences must be whole in both languages."""
    with pytest.raises(BadDocument) as caught:
        read_document(data, name)
    return checked(caught.value)


def checked(error: BadDocument) -> str:
    for language in ("zh", "en"):
        to_dict = error.to_dict(language)
        assert error.params["name"] in to_dict["message"] and to_dict["hint"]
        assert not set("{}") & set(to_dict["message"] + to_dict["hint"])
        stored = error.stored()
        assert from_stored(stored["code"], stored["params"]).to_dict(language) == to_dict
    return str(error.params["problem"])


def drawn(*, pages: int = 1, text: str = "", password: str | None = None) -> bytes:
    data = io.BytesIO()
    encrypt = StandardEncryption(password) if password else None
    canvas = Canvas(data, encrypt=encrypt)
    for _ in range(pages):
        if text:
            canvas.drawString(60, 700, text)
        else:
            canvas.rect(60, 60, 300, 300, fill=1)
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def test_a_protected_pdf_asks_for_a_copy_without_a_password() -> None:
    assert refused(drawn(text="secret", password="p"), "a.pdf") == "encrypted"


def test_a_scan_is_told_from_a_text() -> None:
    assert refused(drawn(pages=3), "a.pdf") == "scanned"


def test_ten_thousand_pages_are_too_many() -> None:
    assert refused(drawn(pages=10_000, text="x"), "a.pdf") == "too_many_pages"


def test_a_zip_bomb_is_not_unpacked() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"word/{number}.xml", bytes(100_000_000))
    assert len(data.getvalue()) < 1_000_000
    for name in ("a.docx", "a.xlsx", "a.pptx", "a.epub"):
        assert refused(data.getvalue(), name) == "bomb"


def test_an_archive_that_lies_about_its_size_ends_within_the_memory_of_the_child() -> None:
    whole = bytearray(zipped({"word/document.xml": bytes(300_000_000)}))
    at = whole.index(b"PK\x01\x02") + 24
    whole[at : at + 4] = (1000).to_bytes(4, "little")
    assert refused(bytes(whole), "a.docx") in ("broken", "memory")


def test_a_deep_sheet_of_many_cells_is_stopped() -> None:
    row = b"<row>" + b'<c t="inlineStr"><is><t>0123456789</t></is></c>' * 250_000 + b"</row>"
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        + row * 20
        + b"</sheetData></worksheet>"
    )
    from tests.documents.corpus import corpus

    xlsx = next(case.data for case in corpus() if case.name == "en.xlsx")
    with zipfile.ZipFile(io.BytesIO(xlsx)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["xl/worksheets/sheet1.xml"] = sheet
    with pytest.raises(BadDocument) as caught:
        read_document(zipped(files), "a.xlsx", time_s=20)
    assert checked(caught.value) in ("too_much_text", "memory", "too_slow")


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.pptx", "a.epub"])
def test_what_is_not_what_its_ending_says_is_broken(name: str) -> None:
    assert refused(b"hello, this is only text", name) == "broken"
    assert refused(zipped({"a.txt": b"x"}), name) == "broken"
    assert refused(pdf("en")[:700], name) == "broken"


def test_an_old_word_file_is_named_as_such() -> None:
    assert refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.docx") == "old_office"
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    assert refused(locked, "a.docx") == "encrypted"


def test_what_is_no_text_is_told() -> None:
    assert refused(os.urandom(4000), "a.txt") == "not_text"
    assert refused(b'{"a": 1', "a.json") == "broken"
    assert refused(b"[" * 200_000, "a.json") == "broken"
    assert refused(b"<html><script>1</script></html>", "a.html") == "no_text"
    assert refused(b"  \n ", "a.md") == "empty"
    assert refused(b"x", "a.exe") == "unknown_kind"


def test_an_entity_reads_no_file_and_grows_no_text(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(ENTITY)
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE p [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY l0 "ha">{laughs}]>'
    page = f"<?xml version='1.0'?>{doctype}<html><body><p>before &x; &l9; after</p></body></html>"
    document = read_document(page.encode(), "a.xhtml")
    assert ENTITY not in document.text and len(document.text) < 1000
    container = (
        f'<?xml version="1.0"?>{doctype}<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="&x;"/></rootfiles></container>'
    )
    assert refused(zipped({"META-INF/container.xml": container.encode()}), "a.epub") == "broken"


def test_reading_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(BadDocument) as caught:
        read_document(drawn(pages=3000, text="word " * 20), "a.pdf", time_s=0.5)
    assert checked(caught.value) == "too_slow"


def test_files_on_the_disk_are_refused_before_they_are_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.pdf"
    with huge.open("wb") as file:
        file.truncate(200_000_000)
    assert huge.stat().st_size > MAX_BYTES
    empty = tmp_path / "empty.txt"
    empty.touch()
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    expected = {
        huge: "too_large",
        empty: "empty",
        tmp_path: "folder",
        pipe: "no_file",
        tmp_path / "none.txt": "not_there",
    }
    for path, problem in expected.items():
        with pytest.raises(BadDocument) as caught:
            read_file(path)
        assert checked(caught.value) == problem


def test_pages_that_are_pictures_among_others_are_named() -> None:
    data = io.BytesIO()
    canvas = Canvas(data)
    for text in ("first", "", "third"):
        canvas.drawString(60, 700, text)
        canvas.showPage()
    canvas.save()
    document: Document = read_document(data.getvalue(), "a.pdf")
    assert document.without_text == (2,)
    assert document.only([3, 1]).text == "[page 1]\nfirst\n\n[page 3]\nthird"
    assert document.only([3, 1]).numbers == "1,3"
