"""Every kind of document in both languages: the characters, in order, and the tables, cell by cell."""

import difflib
import re

import pytest
from tests.documents.corpus import Case, corpus

from twokeys.documents import Document, read_document

CASES = list(corpus())
MARKS = re.compile(r"^\[\w+ \d+.*\]$|^#+ |^- |\s", re.MULTILINE)


def bare(text: str) -> str:
    return MARKS.sub("", text)


def tables(document: Document) -> list[list[tuple[str, ...]]]:
    blocks: list[list[tuple[str, ...]]] = [[]]
    for line in document.text.splitlines():
        if not line.startswith("|"):
            blocks.append([])
        elif set(line) - set("|- "):
            blocks[-1].append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return [block for block in blocks if block]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_known_characters_come_out_in_their_order(case: Case) -> None:
    document = read_document(case.data, case.name)
    got, known = bare(document.text), bare("".join(case.texts))
    same = sum(block.size for block in difflib.SequenceMatcher(None, known, got, False).get_matching_blocks())
    assert same >= 0.99 * len(known), (document.text, known)
    extra = len(got) - same - len("".join(cell for row in tables(document) for line in row for cell in line))
    assert extra <= 0.35 * len(known) + 60, document.text
    assert "hidden" not in got and "varno" not in got
    if case.encoding is not None:
        assert document.encoding == case.encoding


@pytest.mark.parametrize("case", [case for case in CASES if case.table], ids=lambda case: case.name)
def test_tables_come_out_cell_by_cell(case: Case) -> None:
    result = tables(read_document(case.data, case.name))
    if case.name.endswith(".pdf"):  # a cell without text leaves no trace on a page
        assert result[0] == [row for row in case.table if all(row)]
    else:
        assert result == [list(case.table)]


def test_the_corpus_has_at_least_forty_files_of_all_kinds() -> None:
    assert len(CASES) >= 40
    kinds = {case.name.rpartition(".")[2] for case in CASES}
    assert kinds == {
        *("txt", "md", "py", "csv", "tsv", "json", "html", "epub", "docx", "xlsx", "pptx", "pdf")
    }
