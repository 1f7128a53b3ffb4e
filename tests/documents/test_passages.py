"""Markdown split at its headings, a table's cells, and the numbers of passages."""

import pytest

from twokeys.documents.document import Document, Passage, as_ranges, parse_ranges
from twokeys.documents.passages import numbered, passages_of_markdown
from twokeys.documents.table import markdown_table


def test_what_stands_before_the_first_heading_is_a_passage_too() -> None:
    passages = passages_of_markdown("before\n\n# One #\nfirst\n\n### Two\nsecond\n")
    assert passages == [
        Passage(1, "", "before"),
        Passage(2, "One", "# One #\nfirst"),
        Passage(3, "Two", "### Two\nsecond"),
    ]


def test_a_comment_in_code_heads_nothing() -> None:
    text = "# Head\n```sh\n# no heading\n~~~\n# none either\n```\n# Next\n"
    assert [passage.title for passage in passages_of_markdown(text)] == ["Head", "Next"]


@pytest.mark.parametrize("line", ["#hashtag", "#", "####### seven", "    # in code", "text # after"])
def test_what_only_looks_like_a_heading_heads_nothing(line: str) -> None:
    assert [passage.title for passage in passages_of_markdown(f"{line}\nx")] == [""]


def test_empty_parts_take_no_number() -> None:
    assert numbered([("a", " \n"), ("b", "\n\nx  \n"), ("", "")]) == [Passage(1, "b", "x")]


def test_a_table_keeps_bars_within_its_cells_and_loses_what_is_empty_at_its_end() -> None:
    rows = [["tea|leaf", "price", ""], ["green", "1\n2", ""], ["", "", ""]]
    assert markdown_table(rows) == "| tea\\|leaf | price |\n| --- | --- |\n| green | 1 2 |"
    assert markdown_table([["", ""], []]) == ""
    assert markdown_table([["a"], ["b", "c"]]) == "| a |  |\n| --- | --- |\n| b | c |"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3-7,9", (3, 4, 5, 6, 7, 9)),
        ("9，1、2", (1, 2, 9)),
        (" 2 – 3 ", (2, 3)),
        ("1,1", (1,)),
        ("", None),
        ("7-3", None),
        ("0", None),
        ("1-", None),
        ("two", None),
    ],
)
def test_ranges_of_pages_are_read_as_people_write_them(text: str, numbers: tuple[int, ...] | None) -> None:
    assert parse_ranges(text) == numbers


def test_numbers_are_written_as_the_shortest_ranges() -> None:
    assert as_ranges([7, 1, 2, 3, 3]) == "1-3,7"
    assert as_ranges([]) == ""


def test_a_document_marks_its_pages_and_can_be_cut_to_some_of_them() -> None:
    pages = (Passage(1, "", "first"), Passage(2, "", ""), Passage(3, "", "third"))
    document = Document("a.pdf", "pdf", "0" * 64, "page", pages, 3)
    assert document.text == "[page 1]\nfirst\n\n[page 2]\n\n[page 3]\nthird"
    assert document.without_text == (2,)
    part = document.only([3, 1])
    assert (part.numbers, part.total) == ("1,3", 3)
    assert Document.from_dict(part.to_dict()) == part


def test_a_sheet_is_marked_with_its_name_and_a_section_not_at_all() -> None:
    passage = Passage(2, "Prices", "text")
    assert Document("a", "xlsx", "", "sheet", (passage,), 2).marked(passage) == "[sheet 2: Prices]\ntext"
    assert Document("a", "text", "", "section", (passage,), 2).marked(passage) == "text"
