"""Which reader reads what, by the ending of a name."""

import io

import pytest
from docx import Document as Docx

from twokeys.documents.kinds import KINDS, ending_of, kind_of, read_as


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Tea.MD", "markdown"),
        ("a.tar.py", "code"),
        ("Dockerfile", "code"),
        ("notes.docm", "docx"),
        ("rows.ndjson", "json"),
        ("song.mp3", None),
        ("", None),
    ],
)
def test_a_name_says_the_kind(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_every_kind_of_text_has_a_reader_that_says_the_encoding() -> None:
    texts = {"json": b"[1]", "html": b"<p>1"}
    for kind in set(KINDS.values()) - {"pdf", "docx", "xlsx", "pptx", "epub"}:
        contents = read_as(kind, texts.get(kind, b"1,2"), "x")
        assert contents.encoding == "utf-8" and contents.unit == "section"
        assert "1" in contents.passages[0].text


def test_the_ending_chooses_between_json_and_lines_of_it() -> None:
    assert "[2]" in read_as("json", b"[1]\n[2]", ending_of("a.jsonl")).passages[0].text


def test_a_word_file_is_read_by_sections_without_an_encoding() -> None:
    data, document = io.BytesIO(), Docx()
    document.add_heading("茶")
    document.save(data)
    contents = read_as("docx", data.getvalue(), "docx")
    assert (contents.unit, contents.encoding) == ("section", None)
    assert contents.passages[0].title == "茶"
