"""Cycles in a stream of characters, asked of the finder itself."""

import random

import pytest

from twokeys.core.guard.cycle import MAX_PERIOD, WINDOW, Cycle, CycleFinder

SENTENCE = "She wrote a letter to her brother, and the wind carried it across the water. "
CHINESE = "她给弟弟写了一封信，风把信吹过了水面。"


def fresh(words: int) -> str:
    """Words in which nothing comes twice."""
    dice = random.Random(7)
    return " ".join("".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(words))


def cycles(text: str, *, structured: bool = False) -> list[Cycle]:
    finder = CycleFinder()
    finder.structured = structured
    return [cycle for char in text if (cycle := finder.feed(char))]


@pytest.mark.parametrize("unit", [SENTENCE, CHINESE])
@pytest.mark.parametrize("before", [0, 20, 3000], ids=["at once", "later", "after a full window"])
def test_a_cycle_names_where_its_first_copy_stands_and_how_long_it_is(unit: str, before: int) -> None:
    lead = fresh(before)
    text = lead + unit * 8
    assert before < 3000 or len(lead) > WINDOW
    first, second = cycles(text)
    assert (first.level, second.level) == ("warn", "stop")
    for cycle in (first, second):
        assert cycle.exact and cycle.period == len(unit)
        assert cycle.start == len(lead) and cycle.unit in unit * 2
    assert first.copies == pytest.approx(3.0, abs=0.1) and 6.0 <= second.copies < 6.5


@pytest.mark.parametrize(("period", "seen"), [(MAX_PERIOD - 6, True), (MAX_PERIOD + 104, False)])
def test_periods_up_to_the_longest_are_seen(period: int, seen: bool) -> None:
    unit = fresh(700)[:period]
    assert [cycle.period for cycle in cycles(unit * 4)] == ([period] * 2 if seen else [])


def test_nothing_is_said_of_text_that_does_not_repeat() -> None:
    assert cycles(fresh(2000)) == []


def test_in_code_and_tables_it_takes_more_than_in_prose() -> None:
    text = SENTENCE * 4
    assert [cycle.level for cycle in cycles(text)] == ["warn"]
    assert [cycle.level for cycle in cycles(text, structured=True)] == ["note", "warn"]


def test_rows_of_data_may_come_again_often() -> None:
    assert cycles("0, 1, " * 60) == []
    assert [cycle.level for cycle in cycles("0, 1, " * 400)] == ["warn", "stop"]
