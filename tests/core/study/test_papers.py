"""What a run says of a paper's direction: rows of known truth get the right verdict."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from twokeys.core.study.answer_tree import AnswerTree, TreeNode
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.paper_rules import examine_papers
from twokeys.core.study.papers import PAPERS, PaperResult
from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.spectrum import Spectrum
from twokeys.core.study.study import Study, shipped_studies
from twokeys.core.study.turning import turning_point
from twokeys.i18n import translate


def sampled(name: str, value: Callable[[Study, int, int, int], Mapping[str, float]]) -> Evidence:
    """Rows of a shipped study with the values that `value(study, cell, prompt, seed)` gives."""
    study = shipped_studies()[name]
    rows = [
        {"c": c, "p": p, "s": s, "v": dict(value(study, c, p, s))}
        for c in range(len(study.cells))
        for p in range(len(study.prompts))
        for s in range(study.seeds)
    ]
    return Evidence(study, "invented", rows, [], [])


def exact(likelihoods: Callable[[int], list[float]], kind: str = "choice", many: int = 24) -> Evidence:
    """An exact study of questions with one token each: the first of `likelihoods` is the right one."""
    checker = Checker("choice", "A", ("A", "B")) if kind == "choice" else Checker("number", 7)
    prompts = tuple(StudyPrompt(f"p{i}", "Which?", "choice", checker=checker) for i in range(many))
    study = replace(shipped_studies()["claims-exact"], prompts=prompts)
    texts = []
    for p in range(many):
        chances = np.array(likelihoods(p))
        order = np.argsort(-chances)
        spectrum = Spectrum.of(np.log(chances[order] / chances.sum()))
        right = {int(np.flatnonzero(order == 0)[0]): 1.0}
        texts.append({"c": 0, "p": p, "s": 0, "tree": AnswerTree((TreeNode(spectrum, right, {}),)).to_dict()})
    rows = [{"c": 0, "p": p, "s": 0, "v": {}} for p in range(many)]
    return Evidence(study, "invented", rows, [], texts)


def verdict(paper: str, evidence: Evidence) -> PaperResult:
    result = {row.paper: row for row in examine_papers({evidence.study.name: evidence})}[paper]
    for language in ("zh", "en"):
        assert translate(f"lab.paper.verdict.{result.verdict}", language) in result.sentence(language)
    return result


def test_every_paper_has_its_study_its_measure_and_its_texts() -> None:
    for paper in PAPERS:
        study = shipped_studies()[paper.study]
        assert paper.measure in study.outcomes
        assert paper.hypothesis("en") and paper.hypothesis("zh") and paper.arxiv in paper.url


@pytest.mark.parametrize(("cold", "hot", "expected"), [(0.9, 0.1, "holds"), (0.1, 0.9, "fails")])
def test_loops_are_compared_between_the_ends(cold: float, hot: float, expected: str) -> None:
    rng = random.Random(1)

    def value(study: Study, c: int, p: int, s: int) -> dict[str, float]:
        chance = cold if study.cells[c].name == "0.0" else hot
        return {"looped": float(rng.random() < chance)}

    assert verdict("loops", sampled("paper-loops", value)).verdict == expected


def test_loops_everywhere_leave_no_room_for_more() -> None:
    result = verdict("loops", sampled("paper-loops", lambda study, c, p, s: {"looped": 1.0}))
    assert result.verdict == "undecided"


def test_the_turning_point_of_a_known_curve_lies_in_its_interval() -> None:
    temperatures = np.arange(0.1, 1.6, 0.2)
    rng = np.random.default_rng(2)
    shape = np.exp(0.8 * (temperatures - 0.9) ** 3 + 0.5 * temperatures)
    entropies = shape * rng.lognormal(0, 0.05, (24, len(temperatures)))
    point = turning_point(temperatures, entropies)
    assert point.low is not None and point.high is not None
    assert point.low <= 0.9 <= point.high and point.high - point.low < 0.4 and point.share > 0.95


def test_a_curve_that_never_turns_has_no_point() -> None:
    temperatures = np.arange(0.1, 1.6, 0.2)
    rng = np.random.default_rng(2)
    falling = np.exp(-0.8 * (temperatures - 0.9) ** 3) * rng.lognormal(0, 0.02, (24, len(temperatures)))
    assert turning_point(temperatures, falling).share < 0.05


def test_questions_that_other_temperatures_solve_make_a_union_better() -> None:
    # half stand out from a long tail only when cool, half are second best and come up only when hot
    result = verdict("union", exact(lambda p: [0.02] + [1e-4] * 9800 if p % 2 else [0.3, 0.7]))
    assert result.verdict == "holds"
    same = verdict("union", exact(lambda p: [0.5, 0.5]))
    assert same.verdict == "fails" and same.figure == pytest.approx(0.0, abs=1e-9)


def test_equal_cuts_gain_nothing_and_a_long_tail_gains_from_min_p() -> None:
    assert verdict("cuts", exact(lambda p: [0.9, 0.1] if p % 2 else [0.1, 0.9])).verdict == "holds"
    result = verdict("cuts", exact(lambda p: [0.3 + p / 1000] + [0.007] * 100))
    assert result.figure is not None and result.figure > 0


@pytest.mark.parametrize("paper", ["cuts", "union"])
@pytest.mark.parametrize("right", [1 - 1e-9, 1e-9])
def test_questions_that_are_always_or_never_right_say_nothing_of_a_gain(paper: str, right: float) -> None:
    assert verdict(paper, exact(lambda p: [right, 1 - right])).verdict == "undecided"


def test_the_smallest_difference_that_matters_is_fixed_before_a_run() -> None:
    margins = {paper.name: paper.margin for paper in PAPERS}
    assert margins == {
        "loops": 0.1,
        "turning": None,
        "union": 0.02,
        "length": 10.0,
        "cuts": 0.05,
        "choice": 0.05,
    }
    for paper in PAPERS:
        shipped = shipped_studies()[paper.study].margin(paper.measure)
        if paper.study.startswith("paper-") and paper.margin is not None:
            assert paper.margin == shipped
        for language in ("zh", "en"):
            assert bool(paper.margin_text(language)) == (paper.margin is not None)


def test_a_certain_model_is_the_same_at_all_temperatures_and_a_doubtful_one_is_not() -> None:
    assert verdict("choice", exact(lambda p: [1 - 1e-9, 1e-9])).verdict == "holds"
    assert verdict("choice", exact(lambda p: [0.6, 0.4])).verdict == "fails"
    assert verdict("choice", exact(lambda p: [0.6, 0.4], kind="number")).verdict == "undecided"


@pytest.mark.parametrize(("at_1024", "expected"), [(20.0, "holds"), (90.0, "fails")])
def test_the_ladder_is_judged_by_its_longest_step(at_1024: float, expected: str) -> None:
    rng = random.Random(3)

    def value(study: Study, c: int, p: int, s: int) -> dict[str, float]:
        long = study.prompts[p].length == 1024
        return {"length_score": (at_1024 if long else 90.0) + rng.gauss(0, 2)}

    result = verdict("length", sampled("paper-length", value))
    assert (result.verdict, result.units) == (expected, 8)
    assert "1024" in result.sentence("en")


def test_no_row_comes_without_a_run() -> None:
    assert examine_papers({}) == ()
