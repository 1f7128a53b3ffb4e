"""Sizes and spans of time are told in one way everywhere."""

import math

import pytest

from twokeys.units import bytes_text, duration_text, memory_text, signed_text

MIB = 1 << 20


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1234, "1 kB"),
        (999_600, "1.00 MB"),
        (98_362_432, "98.4 MB"),
        (99_960_000, "100 MB"),
        (468_000_000, "468 MB"),
        (4_683_073_632, "4.68 GB"),
        (None, "–"),
    ],
)
def test_a_file_has_three_digits_in_powers_of_a_thousand(count: int | None, text: str) -> None:
    assert bytes_text(count) == text


def test_memory_is_told_in_the_unit_that_keeps_it_short() -> None:
    assert memory_text(812 * MIB) == "812 MiB" and memory_text(4722 * MIB) == "4.61 GiB"
    assert memory_text(1000 * MIB) == "0.98 GiB" and memory_text(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0.84, "0.8 秒", "0.8 s"),
        (45.2, "45 秒", "45 s"),
        (180, "3 分钟", "3 min"),
        (4800, "80 分钟", "80 min"),
        (8400, "2 小时 20 分", "2 h 20 min"),
        (float("inf"), "–", "–"),
        (None, "–", "–"),
    ],
)
def test_a_span_of_time_is_told_in_the_readers_words(seconds: float | None, zh: str, en: str) -> None:
    assert (duration_text(seconds, "zh"), duration_text(seconds, "en")) == (zh, en)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.25, 1, "+1.2"),
        (-0.04, 1, "0.0"),
        (0.04, 1, "0.0"),
        (-3.0, 0, "−3"),
        (-0.2, 0, "0"),
        (None, 1, "–"),
        (math.nan, 1, "–"),
    ],
)
def test_a_difference_has_a_sign_unless_it_rounds_to_nothing(
    value: float | None, digits: int, text: str
) -> None:
    assert signed_text(value, digits) == text
