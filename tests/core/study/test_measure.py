"""What is measured of an answer."""

import math
from dataclasses import replace

import pytest

from twokeys.core.study.answer import Completion, beginning, joined
from twokeys.core.study.measure import ANSWER_MEASURES, MEASURES, SET_MEASURES, measure_answer, measure_set
from twokeys.core.study.prompt import StudyPrompt
from twokeys.i18n import translate
from twokeys.types import GuardEvent

PROMPT = StudyPrompt("p", "Say four words.", length=4)


def completion(text: str = "one two three four", reason: str = "stop", *events: str) -> Completion:
    noticed = tuple(GuardEvent(kind, "warn", 1, 0) for kind in events)
    return Completion(text, 4, reason, 0.1, 0.5, 8.0, 0, events=noticed)


def test_every_measure_of_an_answer_is_computed_and_what_does_not_apply_is_nan() -> None:
    values = measure_answer(PROMPT, completion(), None)
    assert tuple(values) == ANSWER_MEASURES
    assert (values["tokens"], values["length_score"], values["complete"]) == (4.0, 100.0, 1.0)
    nan = {name for name, value in values.items() if math.isnan(value)}
    assert nan == {
        "accepted",
        "chance",
        "correct",
        "valid",
        "memory_bytes",
        "entropy",
        "mean_nll",
        "rep_tail",
        "new_ngrams",
    }


@pytest.mark.parametrize(("reason", "cut"), [("stop", 0.0), ("length", 1.0), ("context", 1.0)])
def test_an_answer_that_its_length_ended_is_truncated_and_not_complete(reason: str, cut: float) -> None:
    values = measure_answer(PROMPT, completion(reason=reason), True)
    assert (values["truncated"], values["complete"], values["correct"]) == (cut, 1.0 - cut, 1.0)
    assert measure_answer(PROMPT, completion(), None, limit_s=0.4)["complete"] == 0.0


def test_what_the_guard_noticed_is_counted_by_its_kind() -> None:
    values = measure_answer(PROMPT, completion("a", "stop", "stall", "loop", "stall"), None)
    assert (values["guard_events"], values["stalls"], values["looped"], values["drift"]) == (3, 2, 1, 0)


def test_answers_to_one_question_are_measured_together() -> None:
    values = measure_set(["the cat sat down", "the cat sat down"])
    assert tuple(values) == SET_MEASURES
    assert values["similarity"] == 1.0


def test_every_measure_has_its_texts() -> None:
    for name in MEASURES:
        for language in ("zh", "en"):
            assert translate(f"lab.measure.{name}.title", language)
            assert translate(f"lab.measure.{name}.about", language)


def test_the_share_of_accepted_drafts_is_none_where_nothing_was_drafted() -> None:
    drafted = replace(completion(), drafted=8, accepted=6)
    assert measure_answer(PROMPT, drafted, None)["accepted"] == 0.75
    assert math.isnan(measure_answer(PROMPT, beginning(drafted, 2), None)["accepted"])
    both = joined([drafted, replace(drafted, drafted=2, accepted=0)])
    assert measure_answer(PROMPT, both, None)["accepted"] == 0.6
