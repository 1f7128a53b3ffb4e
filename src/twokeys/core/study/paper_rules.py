"""How a run of a paper's study is judged: does the paper's direction hold on this model?

Holds or fails only where a 95 % interval over at least 8 questions says so. Differences smaller than a margin
that matters count as none. Definitions are in docs/lab.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from twokeys.core import stats
from twokeys.core.study.answer_tree import AnswerTree
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.papers import BY_NAME, PAPERS, PaperResult, PaperVerdict
from twokeys.core.study.spectrum import Array, Cuts
from twokeys.core.study.turning import turning_point
from twokeys.units import signed_text

FEWEST = 8
BLOCKED = 0.2
"""Where more of the units than this could not have moved as claimed, no difference says nothing."""
SATURATED = 0.8
"""Where more of the questions than this are at the same bound on both sides, being alike says nothing."""
NEAR_ALL, NEAR_NONE = 0.98, 0.02
"""A chance from here on (up to here) is at its bound."""
UNION_TEMPERATURES = np.array([0.1, 0.4, 0.7, 1.0])
CUT_TEMPERATURES = np.array([1.0, 1.5])
BUDGETS: Mapping[str, tuple[Cuts, ...]] = {
    "top_p": tuple(Cuts(top_p=value) for value in (0.5, 0.7, 0.8, 0.9, 0.95)),
    "min_p": tuple(Cuts(min_p=value) for value in (0.02, 0.05, 0.1, 0.2, 0.3)),
    "sigma": tuple(Cuts(top_n_sigma=value) for value in (0.5, 1.0, 1.5, 2.0, 3.0)),
}
"""Each way of cutting has as many settings to choose from."""
SHORT_LENGTHS, FAILED_SCORE, NO_ROOM = (16, 64), 60.0, 10.0


def examine_papers(studies: Mapping[str, Evidence]) -> tuple[PaperResult, ...]:
    """Return a row for each paper whose study is there, of one model's studies by their names."""
    rows = []
    for paper in PAPERS:
        evidence = studies.get(paper.study)
        if evidence is not None and evidence.answers:
            rows.append(examine_paper(paper.name, studies))
    return tuple(rows)


def examine_paper(name: str, studies: Mapping[str, Evidence]) -> PaperResult:
    """Return what the studies say of one paper. KeyError without its study."""
    evidence = studies[BY_NAME[name].study]
    return replace(_RULES[name](evidence), paper=name, model=evidence.model)


# ---- the rules --------------------------------------------------------------------------------


def _loops(loops: Evidence) -> PaperResult:
    """F14: an answer loops more often at temperature 0 than at 1.0."""
    change = loops.compare("looped", "0.0", "1.0")
    shares = {
        f"at_{cell.name.replace('.', '')[:2]}": _share(loops.values("looped", cell.name))
        for cell in loops.study.cells[:5]
    }
    values = shares | {"top_k": _share(loops.values("looped", "1.0, top_k 1"))}
    if change is None or change.units < FEWEST:
        return PaperResult("", "", "undecided", values={**values, **_span(None, None, None)})
    verdict: PaperVerdict = "undecided"
    if change.kind == "different":
        verdict = "holds" if change.difference > 0 else "fails"
    elif change.kind == "same" and change.at_bound.ceiling <= BLOCKED:
        verdict = "fails"
    low, high = change.low_corrected, change.high_corrected
    span = _span(change.difference, low, high)
    return PaperResult("", "", verdict, change.difference, low, high, change.units, values | span)


def _turning(turning: Evidence) -> PaperResult:
    """F15: the entropy's logarithm turns from concave to convex; there is a temperature to suggest."""
    temperatures = [float(cell.sampling["temperature"]) for cell in turning.study.cells]
    entropies = _by_prompt(turning, "entropy")
    point = turning_point(np.array(temperatures), entropies)
    values = {
        "at": "–" if point.temperature is None else f"{point.temperature:.2f}",
        "low": "–" if point.low is None else f"{point.low:.2f}",
        "high": "–" if point.high is None else f"{point.high:.2f}",
        "share": f"{point.share:.0%}",
        "questions": len(entropies),
    }
    verdict: PaperVerdict = "undecided"
    if len(entropies) >= FEWEST and point.share >= 0.95 and point.temperature is not None:
        verdict = "holds"
    elif len(entropies) >= FEWEST and point.share <= 0.05:
        verdict = "fails"
    return PaperResult("", "", verdict, point.temperature, point.low, point.high, len(entropies), values)


def _union(exact: Evidence) -> PaperResult:
    """F18: four answers at four temperatures hold the right one more often than four at the best of them."""
    chances = _chances(exact, Cuts(), UNION_TEMPERATURES)
    several = 1 - (1 - chances) ** len(UNION_TEMPERATURES)
    best = int(np.argmax(several.mean(axis=0))) if len(chances) else 0
    together = 1 - np.prod(1 - chances, axis=1)
    held = _at_bounds(several[:, best], together)
    values = {
        "union": _mean_chance(together),
        "best": _mean_chance(several[:, best]),
        "at": f"{UNION_TEMPERATURES[best]:g}",
        "questions": len(chances),
    }
    return _judged(together - several[:, best], _margin("union"), values, held)


def _cuts(exact: Evidence) -> PaperResult:
    """F16: with as many settings to choose from, min_p is no better than top_p (nor top-nσ)."""
    reached = {name: _tuned(exact, cuts) for name, cuts in BUDGETS.items()}
    difference = reached["min_p"] - reached["top_p"]
    of_sigma = _judged(reached["sigma"] - reached["top_p"], _margin("cuts"), {})
    values = {name: _mean_chance(chances) for name, chances in reached.items()}
    values |= {"sigma_change": _points(of_sigma.figure), "sigma_low": _points(of_sigma.low),
               "sigma_high": _points(of_sigma.high), "questions": str(len(difference))}  # fmt: skip
    held = _at_bounds(reached["top_p"], reached["min_p"])
    judged = _judged(difference, _margin("cuts"), values, held)
    # the critique's direction: nothing is gained
    turned: dict[PaperVerdict, PaperVerdict] = {"holds": "fails", "fails": "holds", "undecided": "undecided"}
    return replace(judged, verdict=turned[judged.verdict])


def _choice(exact: Evidence) -> PaperResult:
    """F8: on multiple choice the temperature makes no difference from 0 to 1."""
    chosen = exact.where(lambda p: _is_choice(exact, p))
    chances = _chances(chosen, Cuts(), np.array([0.0, 0.3, 0.5, 0.7, 1.0]))
    means = chances.mean(axis=0) if len(chances) else np.zeros(5)
    values = {"at_0": f"{means[0]:.1%}", "at_5": f"{means[2]:.1%}", "at_10": f"{means[4]:.1%}",
              "questions": len(chances)}  # fmt: skip
    differences = chances[:, 4] - chances[:, 0]
    margin = _margin("choice")
    judged = _judged(differences, margin, values)
    low, high = judged.low, judged.high
    verdict: PaperVerdict = "undecided"
    if low is not None and high is not None:
        if low > -margin and high < margin:
            verdict = "holds"
        elif low > 0 or high < 0:
            verdict = "fails"
    return replace(judged, verdict=verdict)


def _length(texts: Evidence) -> PaperResult:
    """F17: the longer the text that is asked for, the further the answer is from that length."""
    whole, parts = texts.study.cells[0].name, texts.study.cells[1].name
    scores = {cell: _by_topic(texts, cell) for cell in (whole, parts)}
    lengths = sorted({length for length, _ in scores[whole]})
    topics = sorted({topic for _, topic in scores[whole]})
    longest = lengths[-1] if lengths else 0
    fall = [
        scores[whole][longest, topic] - _mean([scores[whole][length, topic] for length in SHORT_LENGTHS])
        for topic in topics
        if all((length, topic) in scores[whole] for length in (longest, *SHORT_LENGTHS))
    ]
    gain = [
        scores[parts][longest, topic] - scores[whole][longest, topic]
        for topic in topics
        if (longest, topic) in scores[parts] and (longest, topic) in scores[whole]
    ]
    means = {length: _mean([s for (of, _), s in scores[whole].items() if of == length]) for length in lengths}
    failed = next((length for length in lengths if means[length] < FAILED_SCORE), None)
    of_parts = _judged(np.array(gain), _margin("length"), {})
    values = {
        "scores": ", ".join(f"{length}: {score:.0f}" for length, score in means.items()),
        "failed": "–" if failed is None else str(failed),
        "longest": str(longest),
        "parts": _number(of_parts.figure),
        "parts_low": _number(of_parts.low),
        "parts_high": _number(of_parts.high),
        "more": bool(gain),
    }
    judged = _judged(-np.array(fall), _margin("length"), values)
    shorts = [
        _mean([scores[whole].get((length, topic), 0.0) for length in SHORT_LENGTHS]) for topic in topics
    ]
    if judged.verdict == "fails" and _mean([float(score < NO_ROOM) for score in shorts]) > BLOCKED:
        judged = replace(judged, verdict="undecided")
    shown = {"change": judged.figure, "low": judged.high, "high": judged.low}
    change = {name: _number(None if value is None else -value) for name, value in shown.items()}
    return replace(judged, values={**judged.values, **change})


_RULES: dict[str, Callable[[Evidence], PaperResult]] = {
    "loops": _loops,
    "turning": _turning,
    "union": _union,
    "length": _length,
    "cuts": _cuts,
    "choice": _choice,
}


# ---- helpers ----------------------------------------------------------------------------------


def _judged(
    differences: Array, margin: float, values: Mapping[str, object], held: float = 0.0
) -> PaperResult:
    """Judge that something is higher: holds, fails (lower, or no difference that matters), undecided.

    held: the share of the units that are at the same bound of the measure on both sides.
    """
    shown = dict(values)
    if len(differences) < FEWEST:
        return PaperResult(
            "", "", "undecided", units=len(differences), values=shown | _span(None, None, None)
        )
    intervals = stats.bootstrap_intervals(differences[:, None])
    mean, low, high = (float(part[0]) for part in (intervals.mean, intervals.low, intervals.high))
    verdict: PaperVerdict = "undecided"
    if held <= SATURATED and low > 0:
        verdict = "holds"
    elif held <= SATURATED and high < margin:
        verdict = "fails"
    return PaperResult("", "", verdict, mean, low, high, len(differences), shown | _span(mean, low, high))


def _margin(paper: str) -> float:
    return BY_NAME[paper].margin or 0.0


def _at_bounds(first: Array, second: Array) -> float:
    """Return the share of the questions right nearly always on both sides, or never, if that is more."""
    if not len(first):
        return 0.0
    all_right = (first >= NEAR_ALL) & (second >= NEAR_ALL)
    never = (first <= NEAR_NONE) & (second <= NEAR_NONE)
    return float(max(all_right.mean(), never.mean()))


def _span(mean: float | None, low: float | None, high: float | None) -> dict[str, str]:
    return {"change": _points(mean), "low": _points(low), "high": _points(high)}


def _chances(exact: Evidence, cuts: Cuts, temperatures: Array) -> Array:
    """Return the chance of being right as questions × temperatures."""
    rows = [
        AnswerTree.from_dict(row["tree"]).chance(cuts, temperatures).likely
        for row in exact.texts
        if "tree" in row
    ]
    return np.stack(rows) if rows else np.zeros((0, len(temperatures)))


def _tuned(exact: Evidence, cuts: Sequence[Cuts]) -> Array:
    """Return each question's mean chance over CUT_TEMPERATURES under the setting that was best on the other
    half of the questions."""
    trees = [AnswerTree.from_dict(row["tree"]) for row in exact.texts if "tree" in row]
    means = [[float(tree.chance(cut, CUT_TEMPERATURES).likely.mean()) for cut in cuts] for tree in trees]
    chances = np.array(means).reshape(len(trees), len(cuts))
    reached = np.zeros(len(trees))
    half = np.arange(len(trees)) % 2 == 0
    for own in (half, ~half):
        if own.any() and (~own).any():
            reached[own] = chances[own][:, int(np.argmax(chances[~own].mean(axis=0)))]
    return reached


def _mean_chance(chances: Array) -> str:
    """Return the mean chance over the questions, a dash without any."""
    return f"{chances.mean():.1%}" if len(chances) else "–"


def _is_choice(evidence: Evidence, place: int) -> bool:
    checker = evidence.study.prompts[place].checker
    return checker is not None and checker.kind == "choice"


def _by_prompt(evidence: Evidence, measure: str) -> Array:
    """Return a measure as prompts × cells, of the prompts that have it in every cell."""
    cells, prompts = len(evidence.study.cells), len(evidence.study.prompts)
    total, count = np.zeros((prompts, cells)), np.zeros((prompts, cells))
    for row in evidence.answers:
        value = row["v"].get(measure)
        if value is not None and value > 0:
            total[row["p"], row["c"]] += value
            count[row["p"], row["c"]] += 1
    whole = (count > 0).all(axis=1)
    return np.asarray(total[whole] / count[whole])


def _by_topic(texts: Evidence, cell: str) -> dict[tuple[int, str], float]:
    """Return length scores by the length asked for and the topic."""
    place = [known.name for known in texts.study.cells].index(cell)
    scores: dict[tuple[int, str], float] = {}
    for row in texts.answers:
        prompt = texts.study.prompts[row["p"]]
        if row["c"] == place and "length_score" in row["v"] and prompt.length is not None:
            scores[prompt.length, prompt.id.rpartition("-")[0]] = row["v"]["length_score"]
    return scores


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _share(values: Sequence[float]) -> str:
    return f"{_mean(values):.0%}" if values else "–"


def _points(value: float | None) -> str:
    return signed_text(None if value is None else value * 100)


def _number(value: float | None) -> str:
    return signed_text(value, 0)
