"""One word for each concept in each language: docs/words.md is the list, and no text uses another."""

import re
from pathlib import Path

import pytest

from twokeys.handbook import to_markdown
from twokeys.i18n import LANGUAGES, catalogue

WORDS = Path(__file__).resolve().parents[2] / "docs" / "words.md"
NAMES = re.compile(r"`[^`]*`|\{\w+(?:\|[^}]*)?\}|https?://\S+")
"""What is no prose: code, values that are filled in, addresses."""
MARK = re.compile(r"`([^`]+)`")


def avoided() -> list[str]:
    """Return what docs/words.md says a concept is not called."""
    rows = [
        line.split("|") for line in WORDS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    return [word for row in rows[1:] for word in MARK.findall(row[4])]


def occurs(word: str, text: str) -> bool:
    prose = NAMES.sub(" ", text)
    return re.search(rf"\b{re.escape(word)}\b", prose, re.I) is not None if word.isascii() else word in prose


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_uses_the_word_of_the_list(language: str) -> None:
    texts = {key: entry[language] for key, entry in catalogue().items()}
    texts |= {f"handbook {number}": line for number, line in enumerate(to_markdown(language).splitlines(), 1)}
    odd = [(key, word) for key, text in texts.items() for word in avoided() if occurs(word, text)]
    assert odd == []


def test_a_word_that_is_avoided_would_be_noticed() -> None:
    assert {"词元", "chats", "「"} <= set(avoided())
    assert occurs("chats", "All chats end") and not occurs("chats", "`twokeys chats`")
    assert occurs("词元", "约 3 个词元")
