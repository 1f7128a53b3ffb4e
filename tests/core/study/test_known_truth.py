"""Rules against known truths: a small share of what benchmarks/known_truth.py runs a thousand times."""

import pytest
from benchmarks.known_truth import TRUTHS, Truth, score

STUDIES = 4


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: f"{truth.subject}: {truth.name}")
def test_a_rule_finds_the_truth_and_nothing_else(truth: Truth) -> None:
    result = score(truth, STUDIES)
    assert result.false == 0
    if truth.right:
        assert result.right >= 1 - 1 / STUDIES


def test_every_rule_that_is_decided_by_chance_is_tried() -> None:
    subjects = {truth.subject for truth in TRUTHS}
    assert {f"C{number}" for number in (1, 2, 4, 5, 7, 8, 9, 12, 13, 14)} <= subjects
    assert {"loops", "turning", "length", "choice", "union", "cuts"} <= subjects
    limits = {truth.subject for truth in TRUTHS if truth.name == "at its limit"}
    assert limits == {
        "C1",
        "C4",
        "C9",
        "C13",
        "C14",
        "loops",
        "length",
        "union",
        "cuts",
    }
