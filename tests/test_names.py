"""Names keep their meaning: each class name means one thing; certain verbs are no nouns, in prose either."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.test_docs_and_comments import python_texts

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("src", "tests", "benchmarks", "scripts", "studies", "examples")
NO_NOUNS = {"one", "ones", "told", "found", "kept", "rung", "ladder", "ruler", "wish", "wishes", "lane"}
"""What a value is should be said: the message, the sentence, the match, the rest."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def trees(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    for room in rooms:
        for path in sorted((CHECKOUT / room).rglob("*.py")):
            yield path.relative_to(CHECKOUT).as_posix(), parsed(path)


def given_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the names a module gives to its own things, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name


def test_a_public_class_name_means_one_thing_in_the_product() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees("src"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_names_are_nouns_that_say_what_they_hold() -> None:
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in trees(*ROOMS)
        for line, name in given_names(tree)
        if name.strip("_").lower() in NO_NOUNS
    ]
    assert wrong == []


def test_a_name_given_in_any_way_is_seen() -> None:
    tree = ast.parse("def told(one): self.found = [kept for kept in (rung := one)]")
    assert {name for _, name in given_names(tree)} == {"told", "one", "found", "kept", "rung"}


NO_PROSE = re.compile(
    r"""
      ^.{3}See\ the\ module\b                       # a docstring that says nothing
    | \bfor\ one\ in\b
    | \b(?:the|a|each|every)\ (?:told|found|kept)(?=[.,;:)]|\ (?:is|are|was|were|of|in)\b)
    | \b(?:lane|rung|ladder|ruler|wish|wishes|belt|neutralise[sd]?|never_end)\b
    | \b(?:no\ use|named\ apart|no\ longer\ then)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Words and phrases over which a reader stumbles; a name between backticks is quoted and may be any."""
NO_PROSE_ANYWHERE = re.compile(NO_PROSE.pattern.replace("^.{3}", ""), NO_PROSE.flags)


def stumbles(text: str) -> list[str]:
    return [match.group() for match in NO_PROSE.finditer(re.sub(r"`[^`]*`", "", text))]


def test_docstrings_and_comments_use_the_words_of_the_field() -> None:
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{line}: {phrase}"
        for path in sorted((CHECKOUT / "src").rglob("*.py"))
        for line, text in python_texts(path, NO_PROSE_ANYWHERE)
        for phrase in stumbles(text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('"""See the module."""', 1),
        ("# the ladder's next rung", 2),
        ("# the kept of both", 1),
        ("# the kept answer; what was found; `rung` of earlier versions", 0),
        ('"""Of use. See the module for what is read."""', 0),
    ],
)
def test_what_counts_as_a_phrase_to_stumble_over(text: str, count: int) -> None:
    assert len(stumbles(text)) == count
