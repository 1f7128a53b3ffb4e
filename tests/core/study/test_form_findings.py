"""What a grammar changes, read off made-up answers whose shares are known."""

import numpy as np
import pytest

from twokeys.core.study.evidence import Evidence
from twokeys.core.study.forms import FormFinding, examine_forms, known_forms, load_forms
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import grid_cells
from twokeys.i18n import LANGUAGES

from .making import study

TEXTS = 40
CELLS = grid_cells({"grammar": [False, True], "temperature": [0.3, 1.2]})


def evidence(shares: dict[tuple[bool, float], tuple[float, float]]) -> Evidence:
    """Return a run in which these shares of the texts are valid and right, by grammar and temperature."""
    prompts = tuple(StudyPrompt(f"t{number}", "Read it.", "fields") for number in range(TEXTS))
    rows = []
    for place, cell in enumerate(CELLS):
        valid, correct = shares[cell.grammar, float(cell.sampling["temperature"])]
        order = np.random.default_rng(place).permutation(TEXTS)
        for number in range(TEXTS):
            values = {
                "valid": float(order[number] < valid * TEXTS),
                "correct": float(order[number] < correct * TEXTS),
            }
            rows.append({"p": number, "c": place, "s": 0, "v": values})
    made = study(prompts=prompts, cells=CELLS, seeds=1, outcomes=("valid", "correct"), baseline=CELLS[0].name)
    return Evidence(made, "invented", rows, [], [])


def test_each_temperature_is_compared_with_itself() -> None:
    shares = {
        (False, 0.3): (0.5, 0.4),
        (True, 0.3): (1.0, 0.4),
        (False, 1.2): (0.1, 0.1),
        (True, 1.2): (1.0, 0.5),
    }
    cold, hot = examine_forms(evidence(shares))
    assert (cold.model, cold.temperature, cold.texts, cold.answers) == ("invented", 0.3, TEXTS, 2 * TEXTS)
    assert (cold.valid.without, cold.valid.held, cold.valid.kind) == (0.5, 1.0, "different")
    assert (hot.valid.without, hot.valid.held, hot.valid.kind) == (0.1, 1.0, "different")
    assert cold.correct.kind != "different" and hot.correct.kind == "different"
    assert hot.correct.low is not None and hot.correct.low > 0
    assert "50% → 100%, a difference (+" in cold.sentence("en")
    assert "有差别" in hot.sentence("zh")


def test_no_difference_where_nothing_can_differ_says_so() -> None:
    nothing = {(held, t): (0.0, 0.0) for held in (False, True) for t in (0.3, 1.2)}
    for row in examine_forms(evidence(nothing)):
        assert row.correct.kind != "different"
        assert row.correct.kind == "undecided" or "100% of the texts" in row.sentence("en")


def test_a_finding_is_the_same_after_it_was_kept_and_ones_own_come_first() -> None:
    some = {(held, t): (0.5, 0.5) for held in (False, True) for t in (0.3, 1.2)}
    rows = examine_forms(evidence(some))
    assert tuple(FormFinding.from_dict(row.to_dict()) for row in rows) == rows
    assert known_forms(rows)[: len(rows)] == list(rows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shipped_rows_can_be_read_in_both_languages(language: str) -> None:
    for row in load_forms():
        assert row.texts == 40
        said = row.sentence(language)
        assert "{" not in said and "nan" not in said
