"""Sentences that come again with a word changed, asked of the finder itself."""

import random

from twokeys.core.guard.reader import Reader
from twokeys.core.guard.repeats import Repeat, RepeatFinder

COLOURS = ["red", "blue", "green", "small", "large", "quiet", "early", "broken", "silver", "wooden"]
TALE = (
    "The river runs north past the market and the mill. ",
    "A silver horse stood beneath the window of the inn. ",
    "Nobody in the village had seen the keeper since winter. ",
)


def keeper(word: str) -> str:
    return (
        f"Every evening the {word} keeper climbed the narrow stairs of the old lighthouse and lit the lamp. "
    )


KEEPERS = [keeper(word) for word in COLOURS]


def repeats(text: str) -> list[Repeat]:
    finder = RepeatFinder()
    noticed: list[Repeat] = []
    reader = Reader(lambda piece: noticed.extend(filter(None, [finder.read(piece)])))
    for char in text + "\n":
        reader.feed(char)
    return noticed


def test_a_sentence_with_another_word_each_time_is_warned_of_and_then_ended() -> None:
    warn, stop = repeats("".join(KEEPERS))
    assert (warn.level, stop.level) == ("warn", "stop")
    for repeat in (warn, stop):
        assert (repeat.start, repeat.period) == (0, 1)
        assert repeat.repeat_start == len(KEEPERS[0])
        assert repeat.sentence == KEEPERS[round(repeat.copies) - 1].strip()


def test_a_passage_of_three_sentences_is_one_period() -> None:
    text = "".join(sentence.replace("the ", f"the {word} ", 1) for word in COLOURS for sentence in TALE)
    warn, stop = repeats(text)
    assert (warn.level, warn.period, warn.copies) == ("warn", 3, 3.0)
    assert text[warn.repeat_start :].startswith("The river runs north past the blue market")
    assert (stop.level, stop.period) == ("stop", 3)


def test_sentences_that_return_in_no_order_are_seen_without_a_period() -> None:
    dice = random.Random(3)
    text = "".join(dice.choice((*TALE, KEEPERS[0])) for _ in range(40))
    assert [(repeat.level, repeat.period) for repeat in repeats(text)] == [("warn", 0), ("stop", 0)]


def test_code_and_the_same_form_under_other_headings_are_no_repeats() -> None:
    assert repeats("```\n" + "\n".join(KEEPERS) + "\n```\n") == []
    assert repeats("".join(f"Room {word}\n{keeper('old')}\n" for word in COLOURS)) == []


def test_a_text_that_says_each_thing_once_is_left_alone() -> None:
    assert repeats("".join(TALE) + KEEPERS[0]) == []
