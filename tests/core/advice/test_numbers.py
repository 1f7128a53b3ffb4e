"""Numbers as people write them, in both languages."""

import re

import pytest

from twokeys.core.advice.numbers import EN, ZH, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1500", 1500),
        ("1,500", 1500),
        ("1.5k", 1500),
        ("2 K", 2000),
        ("一千五百", 1500),
        ("1千5百", 1500),
        ("一万二", 12_000),
        ("一百二", 120),
        ("一百零二", 102),
        ("十五", 15),
        ("二十", 20),
        ("两千", 2000),
        ("二〇〇〇", 2000),
        ("三五", 5),
        ("3.5万", 35_000),
    ],
)
def test_a_number_in_a_chinese_message_is_read(text: str, number: int) -> None:
    match = re.search(ZH, f"写{text}字")
    assert match is not None and match[1] == text
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1500", 1500),
        ("2k", 2000),
        ("seven", 7),
        ("thirty-five", 35),
        ("two hundred", 200),
        ("two hundred and fifty", 250),
        ("a dozen", 12),
        ("half a dozen", 6),
        ("Three Thousand", 3000),
        ("twelve hundred", 1200),
    ],
)
def test_a_number_in_an_english_message_is_read(text: str, number: int) -> None:
    match = re.search(EN, f"write {text} words", re.IGNORECASE)
    assert match is not None and match[1].strip() == text
    assert read_number(text) == number


@pytest.mark.parametrize(("pattern", "text"), [(ZH, "版本 3.14.15"), (EN, "someone often"), (EN, "v2.5")])
def test_what_is_part_of_something_else_is_no_number(pattern: str, text: str) -> None:
    match = re.search(pattern, text, re.IGNORECASE)
    assert match is None or (match[1] in ("3.14", "15") and pattern is ZH)
