"""Advice says what it rests on, or that nothing was measured."""

import pytest

from twokeys.core.advice.coach import KINDS
from twokeys.core.advice.evidence import claims_behind, evidence_line
from twokeys.core.advice.tasks import TASKS
from twokeys.core.presets import GOLDEN_COMBINATIONS
from twokeys.core.study.claims import CLAIMS, ClaimResult
from twokeys.i18n import translate

NAMES = (*(preset.name for preset in GOLDEN_COMBINATIONS), *KINDS, *(task.name for task in TASKS))


def result(claim: str, model: str, verdict: str) -> ClaimResult:
    return ClaimResult(claim, model, verdict, answers=9)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_every_piece_of_advice_says_what_it_rests_on(name: str, language: str) -> None:
    line = evidence_line(name, "smollm2-135m", language)
    assert line and "{" not in line
    assert set(claims_behind(name)) <= set(CLAIMS)
    assert (line == translate("advice.evidence.none", language)) == (not claims_behind(name))


def test_every_golden_combination_and_every_task_names_its_claims() -> None:
    assert all(claims_behind(preset.name) for preset in GOLDEN_COMBINATIONS)
    assert all(claims_behind(task.name) for task in TASKS)


def test_what_was_found_on_this_model_comes_first_and_a_decided_verdict_before_an_open_one() -> None:
    rows = [result("C2", "a", "undecided"), result("C2", "b", "refuted"), result("C2", "c", "confirmed")]
    assert evidence_line("professional", "a", "en", rows) == "Evidence: C2 not decidable here"
    assert evidence_line("professional", "c", "en", rows) == "Evidence: C2 confirmed (c)"
    assert evidence_line("professional", "other", "en", rows) == "Evidence: C2 refuted (b)"


def test_a_claim_without_answers_is_not_measured() -> None:
    rows = [ClaimResult("C2", "a", "undecided")]
    assert evidence_line("professional", "a", "zh", rows) == translate("advice.evidence.none", "zh")
    assert evidence_line("several", "a", "en") == "Evidence: not measured"
