"""Every file that a comment, a docstring or a document names is there, in the product and around it."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
KINDS = "py|md|toml|ts|css|sh|json|yml|yaml"
MENTION = re.compile(rf"(?<![\w./*<>{{}}-])((?:[\w-]+/)*[\w-]+\.(?:{KINDS}))(?![\w/*-]|\.\w)")
COMMENT = re.compile(r"\s*(?://|/\*|\*)")
"""A line of TypeScript that is a comment; imports name modules by other endings."""
NOT_OURS = {
    "config.json",  # of a model's repository
    "generation_config.json",
    "conversations.json",  # of a ChatGPT export
    "access.json",  # in a person's data folder
    "pip.py",  # somebody's file in the current folder
    "speed_benchmark.rst",
    "package.json",
    "generation/utils.py",  # of transformers
    "mine.toml",  # written by a person
    "texts.json",  # written by a benchmark
    "FOLDER/held.json",  # written by a script
}


def python_texts(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the comments and the strings that stand alone (docstrings), with their lines.

    Nothing of a file that holds nothing `wanted` anywhere: taking files apart is what takes the time.
    """
    source = path.read_text(encoding="utf-8")
    if not wanted.search(source):
        return
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (
            token.type == tokenize.STRING
            and before
            in (
                tokenize.NEWLINE,
                tokenize.INDENT,
                tokenize.DEDENT,
                tokenize.NL,
            )
        ):
            yield token.start[0], token.string
        if token.type not in (tokenize.COMMENT, tokenize.NL) or before == tokenize.NEWLINE:
            before = token.type


def other_texts(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)


def texts() -> Iterator[tuple[Path, int, str]]:
    for room in ("src", "tests", "benchmarks", "scripts", "studies", "examples"):
        for path in sorted((CHECKOUT / room).rglob("*.py")):
            yield from ((path, line, text) for line, text in python_texts(path, MENTION))
    documents = [
        CHECKOUT / "README.md",
        CHECKOUT / "CONTRIBUTING.md",
        *sorted((CHECKOUT / "docs").rglob("*.md")),
        *sorted((CHECKOUT / "scripts").glob("*.sh")),
        *sorted((CHECKOUT / "frontend" / "src").glob("*.css")),
        CHECKOUT / "frontend" / "README.md",
        CHECKOUT / "frontend" / "build.mjs",
    ]
    for path in sorted((CHECKOUT / "frontend" / "src").glob("*.ts")):
        yield from ((path, line, text) for line, text in other_texts(path) if COMMENT.match(text))
    for path in (*documents, CHECKOUT / "Makefile", CHECKOUT / "pyproject.toml"):
        yield from ((path, line, text) for line, text in other_texts(path))


def known_files() -> set[str]:
    """Return every file of the checkout under each ending of its path: `db.py`, `store/db.py` …"""
    names = set()
    for top in (
        "src",
        "tests",
        "benchmarks",
        "deploy",
        "docs",
        "scripts",
        "frontend",
        "examples",
        "studies",
        "requirements",
    ):
        for path in (CHECKOUT / top).rglob("*"):
            if "node_modules" in path.parts or not path.is_file():
                continue
            parts = path.relative_to(CHECKOUT).parts
            names |= {"/".join(parts[start:]) for start in range(len(parts))}
    return names | {path.name for path in CHECKOUT.iterdir()}


def missing(text: str, known: set[str]) -> list[str]:
    """Return the files a text names that are not there."""
    return [name for name in MENTION.findall(text) if name not in known and name not in NOT_OURS]


def test_every_file_that_is_named_is_there() -> None:
    known = known_files()
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{line}: {name}"
        for path, line, text in texts()
        for name in missing(text, known)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("# see engines/bay.py, which holds it", ["engines/bay.py"]),
        ("`core/chat.py` and **`nothing.py`**", ["nothing.py"]),
        ("x.pyc, worker-<pid>.json, *.toml, https://a.example/b.json", []),
        ("python benchmarks/gone.py MODEL.gguf", ["benchmarks/gone.py"]),
    ],
)
def test_what_counts_as_a_mention(text: str, names: list[str]) -> None:
    assert missing(text, {"core/chat.py", "chat.py"}) == names
