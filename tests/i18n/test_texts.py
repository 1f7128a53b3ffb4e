"""The two catalogues hold the same texts, and the code asks only for texts that exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from twokeys.i18n import LANGUAGES, PLURAL, catalogue, translate

SOURCE = Path(__file__).resolve().parents[2] / "src" / "twokeys"
ASKING = {"t": 0, "translate": 0, "Reason": 0}
"""Functions whose first argument is the key of a text."""
SCREEN_AREAS = ("ui.", "chat.", "sidebar.", "modelpage.", "settings.", "compare.")
BRACES = re.compile(r"\{(\w+)\}")
HOLE = "\0"


@cache
def asked_keys() -> tuple[tuple[str, str], ...]:
    """Return (place, key) for each text the source asks for; HOLE stands for a value filled in later."""
    return tuple(_asked_keys())


def _asked_keys() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in ASKING:
                for key in _literals(node.args[ASKING[name]]):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", key


def _literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _literals(node.body)
        yield from _literals(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else HOLE for p in node.values)


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile("[^ ]+".join(re.escape(part) for part in key.split(HOLE)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_in_this_language(language: str) -> None:
    missing = [key for key, entry in catalogue().items() if not entry.get(language, "").strip()]
    assert missing == []


def test_no_text_has_a_third_language() -> None:
    assert {name for entry in catalogue().values() for name in entry} <= set(LANGUAGES)


def test_both_languages_have_the_same_values_in_braces_or_one_leaves_a_unit_out() -> None:
    odd = {
        key: (zh, en)
        for key, entry in catalogue().items()
        if (zh := set(BRACES.findall(entry["zh"]))) != (en := set(BRACES.findall(entry["en"])))
        and key not in PER_LANGUAGE
    }
    assert odd == {}


PER_LANGUAGE = {"sidebar.length.note"}
"""Texts that name a different figure in each language: characters in Chinese, words in English."""


def test_every_text_the_source_asks_for_exists() -> None:
    known = catalogue()
    missing = [
        (place, key)
        for place, key in asked_keys()
        if "." in key
        and not (key in known or (HOLE in key and any(_pattern(key).fullmatch(k) for k in known)))
    ]
    assert missing == []


def test_every_text_of_the_screens_is_used() -> None:
    patterns = [_pattern(key) for _, key in asked_keys()]
    unused = [
        key
        for key in catalogue()
        if key.startswith(SCREEN_AREAS) and not any(pattern.fullmatch(key) for pattern in patterns)
    ]
    assert unused == []


def test_chinese_texts_use_chinese_punctuation_between_chinese_characters() -> None:
    half_width = re.compile(r"[\u4e00-\u9fff][,;:?!](?=[\u4e00-\u9fff])")
    odd = {
        k: e["zh"]
        for k, e in catalogue().items()
        if k.startswith(SCREEN_AREAS) and half_width.search(e["zh"])
    }
    assert odd == {}


ADJECTIVES = "earlier|blind|more|other|new|English|shipped"
COUNTED = re.compile(rf"\{{(\w+)\}} (?:(?:{ADJECTIVES}) )?([a-z]+s)\b")
VERBS = {"claims", "does", "exists", "fits", "has", "is", "needs", "takes", "was"}
MEASURED = {
    "name",
    "url",
    "doubt",
    "mean",
    "mean_nats",
    "alike",
    "change",
    "right",
    "variety",
    "ratio",
    "fit_context",
}
"""Values that are names, or figures with a fraction: what follows them is not counted."""


def test_every_counted_word_has_a_form_for_one() -> None:
    without = {
        key: (value, word)
        for key, entry in catalogue().items()
        for value, word in COUNTED.findall(entry["en"])
        if word not in VERBS and value not in MEASURED
    }
    assert without == {}


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "Show 1 earlier message"), (2, "Show 2 earlier messages"), ("1", "Show 1 earlier message")],
)
def test_one_is_counted_in_the_singular(count: int | str, text: str) -> None:
    assert translate("chat.earlier", "en", count=count) == text


def test_every_plural_names_a_value_of_its_text() -> None:
    for key, entry in catalogue().items():
        for text in entry.values():
            assert {match[1] for match in PLURAL.finditer(text)} <= set(BRACES.findall(text)), key
