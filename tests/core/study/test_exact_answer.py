"""What counts as the right answer at the beginning of a text."""

import pytest

from twokeys.core.study.exact_answer import AnswerReading
from twokeys.core.study.prompt import Checker

NUMBER = AnswerReading.of(Checker("number", 42))
NAME = AnswerReading.of(Checker("choice", "Anna", ("Anna", "Ben")))
LETTER = AnswerReading.of(Checker("choice", "A", ("A", "B")))


@pytest.mark.parametrize(
    ("reading", "text", "ended", "outcome"),
    [
        (NUMBER, " 4", False, "open"),
        (NUMBER, " 42", False, "open"),
        (NUMBER, " 42", True, "right"),
        (NUMBER, "**42**", False, "right"),
        (NUMBER, "42.", False, "open"),
        (NUMBER, "42. So", False, "right"),
        (NUMBER, "42.5", False, "wrong"),
        (NUMBER, "421", False, "wrong"),
        (NUMBER, "The answer is 42", False, "wrong"),
        (NUMBER, "", True, "wrong"),
        (NUMBER, " " * 9, False, "wrong"),
        (AnswerReading.of(Checker("number", 1234)), "1,234 ", False, "right"),
        (AnswerReading.of(Checker("number", 0.5)), "0.5\n", False, "right"),
        (NAME, "Ann", False, "open"),
        (NAME, "Anna", False, "right"),
        (NAME, "Ben", False, "wrong"),
        (LETTER, "A", False, "open"),
        (LETTER, "A)", False, "right"),
        (LETTER, "Anna", False, "wrong"),
    ],
)
def test_an_answer_is_right_wrong_or_open(
    reading: AnswerReading, text: str, ended: bool, outcome: str
) -> None:
    assert reading.read(text.encode(), ended) == outcome


def test_a_character_in_pieces_stays_open_until_it_is_whole() -> None:
    reading = AnswerReading.of(Checker("choice", "小安", ("小安", "小宾")))
    spelled = "小安".encode()
    assert [reading.read(spelled[:length]) for length in (1, 4, 6)] == ["open", "open", "right"]


def test_patterns_have_no_short_answer() -> None:
    with pytest.raises(ValueError, match="regex"):
        AnswerReading.of(Checker("regex", "a+"))
