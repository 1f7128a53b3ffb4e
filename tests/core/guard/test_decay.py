"""The decay series follows an answer along its length and finds the point where it turned."""

from twokeys.core.guard import Guard
from twokeys.core.guard.decay import MAX_POINTS

from .reading import of_kind, watch
from .test_loop import many_words

PADDING = (
    "In conclusion, it is important to note that the sea matters. The sea gives us food and work. "
    "Overall, the sea is a friend of people. People need the sea for trade and for rest. "
)


def fresh(count: int) -> str:
    words = many_words(count).split()
    return ". ".join(" ".join(words[at : at + 12]) for at in range(0, count, 12)) + ". "


def test_answer_that_turns_to_padding_is_told_with_the_point_where_it_turned() -> None:
    guard = Guard({}, "Write about the sea")
    start = fresh(700)
    events = of_kind(watch(start + PADDING * 16, guard=guard), "decay")
    assert events[0].level == "warn"
    turned = events[0].data["downhill_at"]
    assert abs(turned - len(start)) < 1200
    assert guard.report()["decay"]["downhill_at"] == turned


def test_fresh_text_stays_calm_and_its_series_is_low() -> None:
    guard = Guard({}, "Write")
    assert of_kind(watch(fresh(1500), guard=guard), "decay") == []
    rows = guard.report()["decay"]["series"]
    assert len(rows) >= 8
    assert all(row[1] < 0.3 for row in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_chinese_padding_is_counted() -> None:
    guard = Guard({}, "写一篇文章")
    watch("总之，大海非常重要。综上所述，我们需要保护大海。" * 20, guard=guard)
    assert sum(row[3] for row in guard.report()["decay"]["series"]) >= 10


def test_code_and_tables_have_no_part_in_the_series() -> None:
    guard = Guard({}, "Write code")
    watch("```python\n" + "value = compute(value)\n" * 300 + "```\n" + "| a | b | c |\n" * 200, guard=guard)
    assert guard.report()["decay"]["series"] == []


def test_series_of_a_very_long_answer_stays_short() -> None:
    guard = Guard({"loop": "off"}, "Write")
    watch(PADDING * 700, guard=guard, step=50)
    assert len(guard.report()["decay"]["series"]) <= MAX_POINTS
