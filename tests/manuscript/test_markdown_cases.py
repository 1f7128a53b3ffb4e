"""What models write (tests/cases/markdown.toml), as the page, Word and plain text show it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twokeys.manuscript.reader import read

from .seen import Seen, plain, seen_in_docx, seen_in_html, seen_in_text

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "markdown.toml").read_text(encoding="utf-8"))[
    "case"
]
LISTED = ("bold", "sub", "sup", "rtl")
NAMES = {"name", "text", "seen", "unseen", "lines", "formulas", "code", "items", "cells", *LISTED}


def of_case(case: dict[str, Any]) -> str:
    return str(case["name"])


def test_every_case_says_something_that_is_looked_at() -> None:
    for case in CASES:
        assert set(case) <= NAMES and len(case) > 2, case
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("see", [seen_in_html, seen_in_docx], ids=["html", "docx"])
@pytest.mark.parametrize("case", CASES, ids=of_case)
def test_a_page_and_a_word_file_show_what_was_meant(case: dict[str, Any], see: Callable[[str], Seen]) -> None:
    shown = see(case["text"])
    words = plain(shown.text)
    for piece in case.get("seen", ()):
        assert piece in words
    for piece in case.get("unseen", ()):
        assert piece not in shown.text
    for line in case.get("lines", ()):
        assert line in shown.lines
    for name in LISTED:
        if name in case:
            assert getattr(shown, name) == case[name], name
    if "formulas" in case:
        assert shown.formulas == len(case["formulas"])
    for code in case.get("code", ()):
        assert code in shown.code
    if "items" in case:
        assert shown.items == [(text, depth) for text, depth in case["items"]]
    if "cells" in case:
        assert shown.cells == case["cells"]


@pytest.mark.parametrize("case", CASES, ids=of_case)
def test_formulas_are_read_with_their_sources(case: dict[str, Any]) -> None:
    tokens = [inner for token in read(case["text"]) for inner in (token, *(token.children or ()))]
    if "formulas" in case:
        sources = [plain(token.content) for token in tokens if token.type.startswith("math_")]
        assert sources == case["formulas"]


@pytest.mark.parametrize("case", CASES, ids=of_case)
def test_plain_text_shows_the_same_words(case: dict[str, Any]) -> None:
    shown = seen_in_text(case["text"])
    words = plain(shown.text)
    for piece in case.get("seen", ()):
        assert piece in words
    for piece in case.get("unseen", ()):
        assert piece not in words or piece == "\\["
    for line in case.get("lines", ()):
        assert line in [entry.removeprefix("- ") for entry in shown.lines]
    for source in case.get("formulas", ()):
        assert source in words
