"""What reads along in a study: a clock at every token, and a guard that speaks but leaves the model alone."""

from twokeys.core.guard import Guard
from twokeys.core.study.recorder import Recorder, TokenTime
from twokeys.types import GuardEvent

LOOP = "The kettle sings of the sea and the sea sings of the kettle again. " * 40


def read_along(recorder: Recorder, text: str) -> list[GuardEvent]:
    """Let a recorder read a text in pieces of four characters, one a hundredth of a second."""
    events: list[GuardEvent] = []
    for number, start in enumerate(range(0, len(text), 4), 1):
        piece = text[start : start + 4]
        events += recorder.on_token(piece, number, start + len(piece), (), number / 100)
    return events + recorder.finish()


def test_every_token_has_its_time_with_or_without_a_guard() -> None:
    recorder = Recorder(None)
    assert read_along(recorder, "Tea came by sea.") == []
    assert recorder.token_times[:2] == [TokenTime(1, 4, 0.01), TokenTime(2, 8, 0.02)]
    assert len(recorder.token_times) == 4 and recorder.report() == {} and not recorder.wants_probe(9.0)


def test_a_loop_is_recorded_as_it_was_and_the_answer_goes_on() -> None:
    recorder = Recorder(Guard(question="Tell me of the sea."))
    spoken = read_along(recorder, LOOP)
    assert "stop" in {event.level for event in recorder.events}, "what the guard would have done"
    assert spoken and "stop" not in {event.level for event in spoken}, "nothing that ends the answer"


def test_with_leave_to_stop_the_guard_ends_the_answer() -> None:
    recorder = Recorder(Guard(question="Tell me of the sea."), may_stop=True)
    assert "stop" in {event.level for event in read_along(recorder, LOOP)}
