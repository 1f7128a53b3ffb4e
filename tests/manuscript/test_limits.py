"""Documents of what is out of all measure: long titles, formulas nested for ever, tables without end."""

import io

import pytest
from docx import Document

from twokeys.core.writer.project import MAX_TOPIC_CHARS, Project
from twokeys.manuscript.docx import to_docx
from twokeys.manuscript.docx_text import MAX_COLUMNS
from twokeys.manuscript.formula import MAX_DEPTH, parse_formula
from twokeys.manuscript.manuscript import Manuscript, ManuscriptPart
from twokeys.manuscript.page import to_html
from twokeys.manuscript.plain import to_plain


def document(text: str, title: str = "T") -> Manuscript:
    return Manuscript(title, "Report", "en", (ManuscriptPart(1, "1", "A", text),))


@pytest.mark.parametrize("length", [255, 256, MAX_TOPIC_CHARS])
def test_the_longest_topic_makes_a_word_file_whose_title_is_whole(length: int) -> None:
    topic = "茶" * length
    assert Project(topic).topic == topic
    word = Document(io.BytesIO(to_docx(document("Text.", topic))))
    assert topic in [paragraph.text for paragraph in word.paragraphs]
    assert len(word.core_properties.title) <= 255


@pytest.mark.parametrize(
    "source",
    [
        "{" * 400 + "x" + "}" * 400,
        "x^{" * 2000 + "}" * 2000,
        "\\frac{1}{" * 500 + "2" + "}" * 500,
        "\\left(" * 500 + "x" + "\\right)" * 500,
        "\\sqrt{" * 5000,
        "\\begin{aligned}" * 400 + "x" + "\\end{aligned}" * 400,
        "\\hat " * 5000 + "x",
    ],
)
def test_a_formula_nested_without_end_keeps_its_source(source: str) -> None:
    assert parse_formula(source) is None
    whole = document(f"Before ${source}$ after.\n\n$$\n{source} = 1\n$$")
    word = Document(io.BytesIO(to_docx(whole)))
    assert source in "".join(paragraph.text for paragraph in word.paragraphs)
    assert '<code class="tex">' in to_html(whole)
    assert source in to_plain(whole)


def test_a_formula_as_deep_as_a_person_writes_is_drawn() -> None:
    depth = MAX_DEPTH // 2
    assert parse_formula("x^{" * depth + "2" + "}" * depth) is not None


def test_a_table_wider_than_word_holds_becomes_lines() -> None:
    def table(columns: int) -> str:
        return "\n".join(
            "|" + "|".join(cell) + "|" for cell in (["h"] * columns, ["-"] * columns, ["c"] * columns)
        )

    word = Document(io.BytesIO(to_docx(document(table(MAX_COLUMNS)))))
    assert [len(entry.columns) for entry in word.tables] == [MAX_COLUMNS]
    whole = document(table(3000))
    word = Document(io.BytesIO(to_docx(whole)))
    assert word.tables == []
    assert " | ".join("h" * 3000) in [paragraph.text for paragraph in word.paragraphs]
    assert to_html(whole).count("<td>") == 3000


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    word = Document(io.BytesIO(to_docx(document("a\x00b\x0bc\ufffed\uffffe 😀 `x\x1by`", "T\x07\ufffe"))))
    assert "abcde 😀 xy" in [paragraph.text for paragraph in word.paragraphs]
