"""A cut falls behind a whole sentence, never behind a heading, and never leaves a fence open."""

import pytest

from twokeys.core.guard.cut import Cut, SentenceEnds
from twokeys.core.guard.reader import Reader


def ends_of(text: str) -> SentenceEnds:
    ends = SentenceEnds()
    reader = Reader(ends.read)
    for char in text:
        reader.feed(char)
    return ends


@pytest.mark.parametrize(
    ("text", "retained"),
    [
        ("One sentence. Another one. And half of", "One sentence. Another one."),
        ("第一句。第二句！第三句没", "第一句。第二句！"),
        ("他说：“好的。”然后走了。还没", "他说：“好的。”然后走了。"),
        ("Pi is 3.14 and e.g. not 3.15 here. And", "Pi is 3.14 and e.g. not 3.15 here."),
        ("Intro text here.\n\n## Heading\n\nSome", "Intro text here."),
        ("- first item\n- second item\n- thi", "- first item\n- second item"),
        ("Text one. For example:\n", "Text one."),
    ],
)
def test_last_good_sentence(text: str, retained: str) -> None:
    cut = ends_of(text).before(len(text))
    assert text[: cut.at_char] == retained
    assert cut.suffix == ""


def test_limit_is_kept() -> None:
    text = "One. Two. Three. Four. "
    assert text[: ends_of(text).before(10).at_char] == "One. Two."


def test_open_fence_is_closed_and_a_closed_one_left_alone() -> None:
    code = "See below.\n```python\na = 1\nb = 2\n"
    cut = ends_of(code).before(len(code))
    assert code[: cut.at_char] + cut.suffix == "See below.\n```python\na = 1\nb = 2\n```"
    closed = code + "```\nDone here.\n"
    assert ends_of(closed).before(len(code) + 4).suffix == ""


def test_fence_that_only_just_opened_is_not_kept() -> None:
    text = "See below.\n```python\n"
    cut = ends_of(text).before(len(text))
    assert text[: cut.at_char] == "See below."


def test_no_sentence_end_gives_the_limit() -> None:
    assert ends_of("no end in sight").before(7) == Cut(7)
