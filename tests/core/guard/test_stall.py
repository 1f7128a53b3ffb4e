"""A stall is a gap that is long in itself and for this answer; a hung engine is told apart."""

from twokeys.core.guard import Guard

from .reading import of_kind


def stream(guard: Guard, count: int, gap_s: float, start: float = 0.0) -> float:
    now = start
    for number in range(count):
        guard.on_token("word ", number + 1, 5 * (number + 1), (), now)
        now += gap_s
    return now - gap_s


def test_gap_over_two_seconds_is_told_once_and_its_end_too() -> None:
    guard = Guard({}, "Hi")
    last = stream(guard, 20, 0.05)
    assert guard.tick(last + 1.9) == []
    begun = guard.tick(last + 2.1)
    assert [(e.kind, e.level, e.data["state"]) for e in begun] == [("stall", "warn", "begun")]
    assert guard.tick(last + 3.0) == []
    assert guard.stalled
    assert guard.stalled_s(last + 3.0) == 3.0
    over = of_kind(guard.on_token("again", 21, 105, (), last + 4.0), "stall")
    assert [(e.level, e.data["state"], e.data["gap_s"]) for e in over] == [("note", "over", 4.0)]
    assert not guard.stalled


def test_slow_model_is_not_stalled_at_its_own_pace() -> None:
    guard = Guard({}, "Hi")
    last = stream(guard, 10, 1.5)
    assert guard.tick(last + 4.0) == []
    assert guard.tick(last + 6.5) != []


def test_wait_before_the_first_token_is_no_stall() -> None:
    assert Guard({}, "Hi").tick(60.0) == []


def test_engine_that_does_not_answer_is_told_apart_from_a_slow_one() -> None:
    guard = Guard({}, "Hi")
    last = stream(guard, 10, 0.05)
    assert not guard.wants_probe(last + 1.0)
    guard.tick(last + 2.5)
    assert guard.wants_probe(last + 2.5)
    slow = guard.report_health(True, last + 2.6)
    assert [e.data["state"] for e in slow] == ["slow"]
    assert not guard.wants_probe(last + 3.0)
    assert guard.wants_probe(last + 4.7)
    hung = guard.report_health(False, last + 4.8)
    assert [e.data["state"] for e in hung] == ["engine_hung"]


def test_probe_given_as_a_function_is_asked_every_two_seconds() -> None:
    asked: list[bool] = []

    def probe() -> bool:
        asked.append(True)
        return False

    guard = Guard({}, "Hi", probe=probe)
    last = stream(guard, 10, 0.05)
    events = [event for at in range(2, 20) for event in guard.tick(last + at / 2 + 1.5)]
    assert [e.data["state"] for e in events] == ["begun", "engine_hung"]
    assert 4 <= len(asked) <= 6


def test_stalls_switched_off_are_not_told() -> None:
    guard = Guard({"stall": "off"}, "Hi")
    last = stream(guard, 10, 0.05)
    assert guard.tick(last + 5) == []
    assert not guard.wants_probe(last + 5)
