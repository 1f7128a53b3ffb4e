"""The rules of the claims: a measure at its limit refutes nothing, and few answers decide nothing."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.reports.invented import claims

from twokeys.core.study.claim_rules import FEWEST_UNITS, examine
from twokeys.core.study.claims import ClaimResult
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.study import shipped_studies

Change = Callable[[int, int, int], Mapping[str, Any]]


def evidence(name: str, change: Change, *, prompts: int, seeds: int = 1, curve: Any = None) -> Evidence:
    """Rows of a shipped study with as many prompts and the values that `change(cell, prompt, seed)` gives."""
    shipped = shipped_studies()[name]
    first = shipped.prompts[0]
    many = tuple(type(first)(f"p{i}", first.text, first.task, first.language) for i in range(prompts))
    study = type(shipped)(
        shipped.name, many, shipped.cells, seeds=seeds, baseline=shipped.baseline, base=shipped.base
    )
    answers, texts = [], []
    for c in range(len(study.cells)):
        for p in range(prompts):
            for s in range(seeds):
                place = {"c": c, "p": p, "s": s}
                answers.append(place | {"v": dict(change(c, p, s))})
                along = {} if curve is None else curve(p, s)
                texts.append(place | {"text": "", "along": along, "finish": "stop"})
    return Evidence(study, "invented", answers, [], texts)


def verdict(claim: str, changed: Evidence) -> ClaimResult:
    rows = examine({**claims(), changed.study.name: changed})
    return next(row for row in rows if row.claim == claim)


def long_answers(early: float, late: float, many: int, spread: float = 0.01) -> Evidence:
    rng = random.Random(1)

    def curve(prompt: int, number: int) -> dict[str, list[float]]:
        def near(value: float) -> float:
            return min(1.0, max(0.0, value + rng.gauss(0, spread)))

        return {"rep_4": [near(early) for _ in range(19)] + [near(late) for _ in range(13)]}

    return evidence("claims-long", lambda c, p, s: {}, prompts=many, curve=curve)


@pytest.mark.parametrize("many", [6, 12])
def test_repetition_that_was_complete_before_2500_tokens_refutes_nothing(many: int) -> None:
    row = verdict("C4", long_answers(1.0, 1.0, many))
    assert (row.verdict, row.values["why"]) == ("undecided", "bound")
    assert "with no room to change" in row.sentence("en") and "尽头" in row.sentence("zh")


def test_repetition_with_room_above_it_is_judged_by_what_it_does() -> None:
    assert verdict("C4", long_answers(0.3, 0.3, 12)).verdict == "refuted"
    assert verdict("C4", long_answers(0.3, 0.7, 12)).verdict == "confirmed"
    assert verdict("C4", long_answers(0.7, 0.3, 12)).verdict == "refuted"


@pytest.mark.parametrize(("claim", "cell"), [("C13", 1), ("C14", 2)])
def test_repetition_that_was_nought_to_begin_with_cannot_be_lowered(claim: str, cell: int) -> None:
    def change(c: int, p: int, s: int) -> dict[str, float]:
        return {"rep_4": 0.001 * (p % 3)}

    row = verdict(claim, evidence("claims-segments", change, prompts=12))
    assert (row.verdict, row.values["why"]) == ("undecided", "bound")

    def with_room(c: int, p: int, s: int) -> dict[str, float]:
        return {"rep_4": 0.4 + 0.01 * (p % 3) + (0.2 if c == cell else 0.0)}

    assert verdict(claim, evidence("claims-segments", with_room, prompts=12)).verdict == "refuted"


@pytest.mark.parametrize("claim", ["C13", "C14"])
def test_few_answers_decide_nothing_however_clear_they_look(claim: str) -> None:
    def change(c: int, p: int, s: int) -> dict[str, float]:
        return {"rep_4": (0.5 if c == 0 else 0.1) + 0.01 * (p % 3)}

    few = verdict(claim, evidence("claims-segments", change, prompts=FEWEST_UNITS - 1))
    assert (few.verdict, few.values["why"]) == ("undecided", "few")
    assert f"at least {FEWEST_UNITS}" in few.sentence("en")
    assert (
        verdict(claim, evidence("claims-segments", change, prompts=FEWEST_UNITS + 2)).verdict == "confirmed"
    )


def test_time_needs_enough_answers_too() -> None:
    def curve(prompt: int, number: int) -> dict[str, list[float]]:
        return {"elapsed_s": [step + 0.02 * step * step + 0.01 * prompt for step in range(1, 33)]}

    def long(many: int) -> Evidence:
        return evidence("claims-long", lambda c, p, s: {}, prompts=many, curve=curve)

    assert verdict("C5", long(6)).values["why"] == "few"
    assert verdict("C5", long(8)).verdict == "confirmed"


def test_an_undecided_claim_says_why_and_its_interval_counts_all_comparisons() -> None:
    rng = random.Random(3)
    noise = [rng.gauss(0, 0.35) for _ in range(24)]

    def change(c: int, p: int, s: int) -> dict[str, float]:
        return {"rep_4": 0.5 + (0.14 + 0.3 * noise[p] if c == 1 else 0.0)}

    segments = evidence("claims-segments", change, prompts=24)
    row = verdict("C13", segments)
    comparison = segments.compare("rep_4", "in one go, 0.5", "in one go")
    assert comparison is not None and comparison.comparisons == 2
    assert (row.low, row.high) == (comparison.low_corrected, comparison.high_corrected)
    assert comparison.low is not None and comparison.low_corrected is not None
    assert comparison.high is not None and comparison.high_corrected is not None
    assert comparison.low_corrected < comparison.low < comparison.high < comparison.high_corrected


def test_saturated_studies_give_no_verdict_and_others_the_right_one() -> None:
    """200 invented studies of ten answers, of four kinds."""
    wrong = 0
    for seed in range(200):
        rng = random.Random(seed)
        kind = ("full", "higher", "lower", "same")[seed % 4]
        before = 1.0 if kind == "full" else 0.5
        after = {"full": 1.0, "higher": 0.75, "lower": 0.25, "same": 0.5}[kind]
        pairs = [
            (min(1.0, before + rng.gauss(0, 0.02)), min(1.0, after + rng.gauss(0, 0.02))) for _ in range(10)
        ]

        def curve(
            prompt: int, number: int, pairs: list[tuple[float, float]] = pairs
        ) -> dict[str, list[float]]:
            early, late = pairs[prompt]
            return {"rep_4": [early] * 19 + [late] * 13}

        study_evidence = evidence("claims-long", lambda c, p, s: {}, prompts=10, curve=curve)
        (row,) = [row for row in examine({"claims-long": study_evidence}) if row.claim == "C4"]
        right = {"full": "undecided", "higher": "confirmed", "lower": "refuted", "same": "refuted"}[kind]
        wrong += row.verdict != right
    assert wrong <= 0.05 * 200


def test_a_study_says_where_a_measure_could_not_show_a_difference() -> None:
    def change(c: int, p: int, s: int) -> dict[str, float]:
        return {"rep_4": 0.0}

    study_evidence = evidence("claims-segments", change, prompts=60)
    comparison = study_evidence.compare("rep_4", "in 4 parts", "in one go")
    assert comparison is not None
    assert (comparison.kind, comparison.at_bound.both, comparison.at_bound.floor) == ("same", 1.0, 1.0)
    assert "at this measure's limit" in comparison.sentence("en") and "尽头" in comparison.sentence("zh")
