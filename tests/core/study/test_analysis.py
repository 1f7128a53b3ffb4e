"""What rows of a study say: prompts are the units, and a verdict needs a difference that is there."""

import pytest

from twokeys.core.study.analysis import analyse, least_spread
from twokeys.core.study.measure import FEW_PROMPTS, MEASURES
from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.result import MeasureComparison, StudyResult
from twokeys.core.study.study import grid_cells

from .making import study

COLD, HOT = "temperature=0.3", "temperature=1.0"


def prompts(count: int) -> tuple[StudyPrompt, ...]:
    return tuple(
        StudyPrompt(f"p{n}", f"{n}: 3 + 4?", "math", checker=Checker("number", 7)) for n in range(count)
    )


def result(hot: list[float], *, many: int = 12, seeds: int = 2, answers: int | None = None) -> StudyResult:
    """Cold answers are all right; `hot` says of each prompt how right it is when hot."""
    made = study(
        prompts=prompts(many),
        seeds=seeds,
        cells=grid_cells({"temperature": [0.3, 1.0]}),
        outcomes=("correct",),
    )
    rows = [
        {
            "c": c,
            "p": p,
            "s": s,
            "v": {"tokens": 10.0, "correct": hot[p] if c else 1.0, "truncated": float(c)},
        }
        for c in range(2)
        for p in range(many)
        for s in range(seeds)
    ]
    return analyse("id", made, rows[:answers], [])


def only(analysed: StudyResult) -> MeasureComparison:
    (comparison,) = analysed.comparisons
    return comparison


def test_a_difference_on_every_prompt_is_a_difference_and_its_direction_is_judged() -> None:
    comparison = only(result([0.0] * 12))
    assert (comparison.cell, comparison.baseline) == (HOT, COLD)
    assert (comparison.kind, comparison.better, comparison.difference) == ("different", False, -1.0)
    assert (comparison.units, comparison.unit, comparison.pairs) == (12, "prompts", 24)
    assert comparison.low is not None and comparison.high is not None
    assert -1.0 <= comparison.low <= comparison.high <= 1.0, "a difference of shares stays in its range"


def test_no_difference_in_few_prompts_is_not_yet_sameness() -> None:
    comparison = only(result([1.0] * 12))
    assert (comparison.kind, comparison.difference, comparison.better) == ("undecided", 0.0, None)
    assert comparison.more_answers is not None and comparison.more_answers > 0
    assert comparison.at_bound.both == comparison.at_bound.ceiling == 1.0


def test_with_few_prompts_the_answers_are_the_units() -> None:
    many = FEW_PROMPTS - 2
    comparison = only(result([0.0] * many, many=many, seeds=3))
    assert (comparison.unit, comparison.units) == ("answers", many * 3)


def test_a_study_under_way_counts_the_answers_that_are_there() -> None:
    whole, begun = result([0.5] * 12), result([0.5] * 12, answers=30)
    assert whole.complete and not begun.complete
    assert [cell.answers for cell in whole.cells] == [24, 24]
    assert [cell.answers for cell in begun.cells] == [24, 6]
    assert only(begun).units == 3, "only prompts that both cells have answered are compared"


def test_cut_offs_are_counted_only_where_lengths_are_compared() -> None:
    assert result([0.5] * 12).cut_offs == ()
    made = study(prompts=prompts(4), seeds=1, cells=grid_cells({"max_new_tokens": [16, 64]}))
    rows = [
        {"c": c, "p": p, "s": 0, "v": {"truncated": float(c == 0 and p < 3)}}
        for c in range(2)
        for p in range(4)
    ]
    cut_offs = analyse("id", made, rows, []).cut_offs
    assert [(cut.task, cut.length, cut.cut, cut.answers) for cut in cut_offs] == [
        ("math", 16, 3, 4),
        ("math", 64, 0, 4),
    ]


@pytest.mark.parametrize(("name", "margin", "spread"), [("correct", 0.5, 0.5), ("correct", 0.1, 0.3)])
def test_a_share_that_agreed_by_chance_is_credited_with_some_spread(
    name: str, margin: float, spread: float
) -> None:
    assert least_spread(MEASURES[name], margin) == pytest.approx(spread)
