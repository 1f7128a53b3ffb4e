"""How each of the claims C1–C15 is examined: from the rows of the studies "claims-…" to a verdict.

A claim is confirmed or refuted only where an interval says so, on at least 8 units; else it is undecided and
says why. A measure that was at its bound to begin with, with no room to change as claimed, refutes nothing.
Memory is the exception: it is not drawn by chance, all answers of a cell have the same figure. What a small
model on a CPU cannot examine at all has no answers and says why. Definitions are in docs/lab.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from twokeys.core import stats
from twokeys.core.study.answer import WINDOW
from twokeys.core.study.claims import ClaimResult, ClaimVerdict
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.result import MeasureComparison
from twokeys.units import signed_text

LATE_TOKENS = 2500
"""From here on, says C4, an answer repeats itself."""
REP_MARGIN = 0.05
MEAN_NLL_MARGIN = 0.1
MOSTLY = 0.75
FEWEST_UNITS = 8
"""Fewer independent results give no verdict on what is drawn by chance."""
FEWEST_PAIRS = 5
"""Fewer pairs have no interval."""
BLOCKED = 0.2
"""Where more of the units than this could not have moved as claimed, "no difference" refutes nothing."""
SATURATED = 0.8
"""Where more of the units than this are at the same bound in both cells, the measure shows nothing at all."""
NEAR_ALL = 0.98
"""A share from here on counts as all: there is no room above it."""
KNOWN = 0.1
"""A model that answers fewer of a language's checkable questions does not know the language."""


def examine(studies: Mapping[str, Evidence]) -> tuple[ClaimResult, ...]:
    """Return a row for each claim from the studies "claims-…" of one model, by their names.

    Prompts in a language that the model does not know are left out: see `known_languages`.
    """
    model = next((study.model for study in studies.values()), "")
    known = known_languages(studies)
    studies = {
        name: evidence.where(lambda p, evidence=evidence: evidence.study.prompts[p].language in known)  # type: ignore[misc]
        for name, evidence in studies.items()
    }
    return tuple(
        _named(rule(studies), claim, model)
        if all(any(name in studies for name in either) for either in needs)
        else _untested(claim, model)
        for claim, (needs, rule) in _RULES.items()
    )


def examine_one(claim: str, studies: Mapping[str, Evidence]) -> ClaimResult:
    """Return what the studies say of one claim, in all languages. KeyError without a study it needs."""
    return _named(_RULES[claim][1](studies), claim, next(iter(studies.values())).model)


def known_languages(studies: Mapping[str, Evidence]) -> frozenset[str]:
    """Return the languages in which at least KNOWN of the checkable questions were answered right."""
    correct = studies.get("claims-correct")
    languages = frozenset(("zh", "en"))
    if correct is None:
        return languages
    right: dict[str, list[float]] = {language: [] for language in languages}
    for row in correct.answers:
        if "correct" in row["v"]:
            right[correct.study.prompts[row["p"]].language].append(row["v"]["correct"])
    known = frozenset(language for language in languages if _mean(right[language]) >= KNOWN)
    return known or languages


# ---- the rules --------------------------------------------------------------------------------


def _temperature(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C1: hotter is more diverse, and less often right: counted, where there is the exact study."""
    diversity, (correct, measure) = studies["claims-diversity"], _rightness(studies)
    alike = diversity.compare("similarity", "1.0", "0.3")
    right = correct.compare(measure, "1.0", "0.3")
    of_alike, of_right = _judge(alike, "lower"), _judge(right, "lower")
    verdict: ClaimVerdict = "undecided"
    if of_alike.verdict == of_right.verdict == "confirmed":
        verdict = "confirmed"
    elif of_alike.verdict == "refuted" or (of_right.verdict == "refuted" and of_alike.verdict == "undecided"):
        verdict = "refuted"
    cold = _mean(correct.values(measure, "0.3"))
    hot = _mean(correct.values(measure, "1.0"))
    values = {
        "reach": correct.prompts,
        "right_cold": _percent(cold),
        "right_hot": _percent(hot),
        **_shown(alike, "alike"),
        **_shown(right, "right"),
        **(of_alike if of_alike.verdict == "undecided" else of_right).why,
    }
    return _of(alike, verdict, "claims-diversity", len(diversity.answers) + len(correct.answers), values)


def _best(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C2: 0.7 is the best all-round setting: here, in being right. See `_rightness`."""
    correct, measure = _rightness(studies)
    cold, hot = correct.compare(measure, "0.3", "0.7"), correct.compare(measure, "1.0", "0.7")
    of_cold, of_hot = _judge(cold, "lower"), _judge(hot, "lower")
    verdict: ClaimVerdict = "undecided"
    if of_cold.verdict == of_hot.verdict == "confirmed":
        verdict = "confirmed"
    elif of_cold.opposite or of_hot.opposite or of_cold.verdict == of_hot.verdict == "refuted":
        verdict = "refuted"
    values = {
        f"t{name}": _percent(_mean(correct.values(measure, cell)))
        for name, cell in (("03", "0.3"), ("07", "0.7"), ("10", "1.0"))
    }
    values["reach"] = str(correct.prompts)
    return _of(
        cold,
        verdict,
        correct.study.name,
        len(correct.answers),
        values
        | _shown(cold, "cold")
        | _shown(hot, "hot")
        | (of_cold if of_cold.verdict == "undecided" else of_hot).why,
    )


def _memory(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C3: from 2048 to 4096 costs 3.6 GB."""
    memory = studies["claims-memory"]
    growth = _growth(memory, "4096")
    verdict: ClaimVerdict = "undecided"
    if growth.seen and growth.high is not None and growth.high < 1024:
        verdict = "refuted"
    elif growth.low is not None and growth.low > 3000:
        verdict = "confirmed"
    return growth.result(verdict, memory)


def _repetition(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C4: more repetition after 2500 tokens than before, within the same answers."""
    long = studies["claims-long"]
    cell = long.study.cells[0].name
    edge = LATE_TOKENS // WINDOW
    pairs = [
        (_mean(curve[edge // 2 : edge]), _mean(curve[edge:]))
        for curve in long.curves("rep_4", cell)
        if len(curve) > edge
    ]
    full = [early >= NEAR_ALL for early, _ in pairs]
    difference = _paired(
        [late - early for early, late in pairs], REP_MARGIN, _mean([float(near) for near in full])
    )
    values = {
        "early": _percent(_mean([early for early, _ in pairs])),
        "late": _percent(_mean([late for _, late in pairs])),
        "answers": len(pairs),
    }
    return difference.result("claims-long", "share", values)


def _time(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C5: twice the length takes more than twice the time."""
    long = studies["claims-long"]
    cell = long.study.cells[0].name
    half, full = 2048 // WINDOW, 4096 // WINDOW
    times = [(c[half - 1], c[full - 1]) for c in long.curves("elapsed_s", cell) if len(c) >= full]
    ratios = [after / before for before, after in times]
    excess = _paired([ratio - 2.0 for ratio in ratios], 0.1)
    values = {
        "half_s": f"{_mean([t[0] for t in times]):.0f}",
        "full_s": f"{_mean([t[1] for t in times]):.0f}",
        "ratio": _two(_mean(ratios)),
        "low": _two(None if excess.low is None else excess.low + 2.0),
        "high": _two(None if excess.high is None else excess.high + 2.0),
    }
    return replace(excess.result("claims-long", "× − 2", values), figure=_mean(ratios) - 2.0)


def _lengths(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C7: 512 tokens suffice for a single question."""
    length = studies["claims-length"]
    cut = length.values("truncated", "512", "explain")
    low, high = stats.wilson_interval(len(cut) - sum(cut), len(cut))
    verdict: ClaimVerdict = "confirmed" if low >= MOSTLY else "refuted" if high < MOSTLY else "undecided"
    why: dict[str, Any] = {"why": "wide_share"}
    if len(cut) < FEWEST_UNITS:
        verdict, why = "undecided", _few(len(cut))
    values = {
        **why,
        "complete": _percent(1 - _mean(cut)),
        "low": _percent(low),
        "high": _percent(high),
        "explain": f"{_mean(length.values('tokens', '2048', 'explain')):.0f}",
        "code": f"{_mean(length.values('tokens', '2048', 'code')):.0f}",
        "prompts": len(cut),
        "cut_long": _percent(_mean(length.values("truncated", "2048", "long"))),
    }
    return ClaimResult("", "", verdict, 1 - _mean(cut), low, high, "share", "claims-length", len(cut), values)


def _stalls(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C8: a stall foretells a wrong turn: does the model itself find answers with one less likely?

    Compared are answers of one cell to one prompt, some with a stall and some without.
    """
    stalled = total = 0
    pairs: list[float] = []
    for study in studies.values():
        places: dict[tuple[int, int], tuple[list[float], list[float]]] = {}
        for row in study.answers:
            values_of = row["v"]
            if "stalls" not in values_of:
                continue
            total += 1
            stalled += bool(values_of["stalls"])
            if "mean_nll" in values_of:
                place = places.setdefault((row["c"], row["p"]), ([], []))
                place[bool(values_of["stalls"])].append(values_of["mean_nll"])
        pairs += [_mean(after) - _mean(smooth) for smooth, after in places.values() if smooth and after]
    difference = _paired(pairs, MEAN_NLL_MARGIN)
    values: dict[str, Any] = {"stalled": stalled, "total": total, "pairs": len(pairs)}
    if difference.count < FEWEST_UNITS:
        values |= {"how": "few", "least": FEWEST_UNITS}
        return ClaimResult(
            "", "", "undecided", float(stalled), None, None, "answers", "claims", total, values
        )
    return replace(difference.result("claims", "nats", values), answers=total)


def _inertia(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C9: hot answers before change what is written next."""
    state = studies["claims-state"]
    fresh, after = state.written("fresh"), state.written("after hot answers")
    both = [fresh[key] == after[key] for key in fresh if key in after]
    low, high = stats.wilson_interval(sum(both), len(both))
    variety = state.compare("distinct_2", "after hot answers", "fresh")
    of_variety = _judge(variety, "changed")
    verdict: ClaimVerdict = "undecided"
    why = _few(len(both)) if len(both) < FEWEST_UNITS else {"why": "wide_share"}
    if len(both) >= FEWEST_UNITS:
        if low >= MOSTLY or of_variety.verdict == "refuted":
            verdict = "refuted"
        elif of_variety.verdict == "confirmed":
            verdict = "confirmed"
    values = {"same": sum(both), "pairs": len(both), **_shown(variety, "variety"), **why}
    figure = sum(both) / len(both) if both else None
    return ClaimResult(
        "", "", verdict, figure, low, high, "share", "claims-state", len(state.answers), values
    )


def _role(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C11: a role at 0.5–0.6 reads better than 0.1. Reading is a person's; only the wording is measured."""
    prompt = studies["claims-prompt"]
    variety = prompt.compare("distinct_2", "role 0.55", "plain 0.1")
    return _of(variety, "undecided", "claims-prompt", len(prompt.answers) // 3, _shown(variety, "variety"))


def _vague(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C12: at temperature 1.0 the model is less sure after a vague prompt than after a strong one."""
    prompt = studies["claims-prompt"]
    doubt = prompt.compare("entropy", "vague 1.0", "strong 1.0")
    judged = _judge(doubt, "higher")
    values = _shown(doubt, "doubt", scale=1.0) | judged.why
    return _of(doubt, judged.verdict, "claims-prompt", len(prompt.answers) // 3, values)


def _cooler(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C13: 0.5 keeps a long answer together."""
    return _less_repetition(studies["claims-segments"], "in one go, 0.5")


def _segments(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C14: segment by segment beats one long answer."""
    return _less_repetition(studies["claims-segments"], "in 4 parts")


def _less_repetition(segments: Evidence, cell: str) -> ClaimResult:
    change = segments.compare("rep_4", cell, "in one go")
    judged = _judge(change, "lower")
    values = {
        "here": _percent(_mean(segments.values("rep_4", cell))),
        "one": _percent(_mean(segments.values("rep_4", "in one go"))),
        **_shown(change, "change"),
        **judged.why,
    }
    answers = len(segments.values("rep_4", cell)) + len(segments.values("rep_4", "in one go"))
    return _of(change, judged.verdict, "claims-segments", answers, values)


def _recovery(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C10: the three recovery steps cure OOM. Here the third, a lower temperature: does it save memory?

    A step that saves nothing does not refute what all three together are said to do.
    """
    segments = studies["claims-segments"]
    change = segments.compare("memory_bytes", "in one go, 0.5", "in one go")
    answers = len(segments.values("memory_bytes", "in one go"))
    answers += len(segments.values("memory_bytes", "in one go, 0.5"))
    if change is None:
        return ClaimResult("", "", "undecided")
    mib, low, high = _in_mib(change)
    step = "lower" if _is(change, "lower") else "same" if _is(change, "same") else "open"
    values = {
        "how": f"step_{step}",
        "mib": signed_text(mib),
        "low": signed_text(low),
        "high": signed_text(high),
    }
    return ClaimResult("", "", "undecided", mib, low, high, "MiB", "claims-segments", answers, values)


def _context(studies: Mapping[str, Evidence]) -> ClaimResult:
    """C15: max_new_tokens is the context. The same max_new_tokens under other contexts: other memory."""
    memory = studies["claims-memory"]
    growth = _growth(memory, "8192")
    return growth.result("refuted" if growth.seen else "undecided", memory)


_Rule = Callable[[Mapping[str, Evidence]], ClaimResult]
_RIGHT = ("claims-exact", "claims-correct")
_RULES: dict[str, tuple[tuple[tuple[str, ...], ...], _Rule]] = {
    "C1": ((("claims-diversity",), _RIGHT), _temperature),
    "C2": ((_RIGHT,), _best),
    "C3": ((("claims-memory",),), _memory),
    "C4": ((("claims-long",),), _repetition),
    "C5": ((("claims-long",),), _time),
    "C6": (((),), _stalls),
    "C7": ((("claims-length",),), _lengths),
    "C8": ((("claims-diversity",),), _stalls),
    "C9": ((("claims-state",),), _inertia),
    "C10": ((("claims-segments",),), _recovery),
    "C11": ((("claims-prompt",),), _role),
    "C12": ((("claims-prompt",),), _vague),
    "C13": ((("claims-segments",),), _cooler),
    "C14": ((("claims-segments",),), _segments),
    "C15": ((("claims-memory",),), _context),
}
"""Which studies a claim needs, one of each of these, and how it is examined. C6 needs a certain graphics
card: no study here will do."""


def _rightness(studies: Mapping[str, Evidence]) -> tuple[Evidence, str]:
    """Return the study that tells how often answers are right, and by which measure: the exact one first."""
    exact = studies.get("claims-exact")
    if exact is not None and any("chance" in row["v"] for row in exact.answers):
        return exact, "chance"
    return studies["claims-correct"].within_reach(), "correct"


# ---- helpers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Growth:
    """How many MiB the engine's process grew from a context of 2048 to a larger one."""

    mib: float
    low: float | None
    high: float | None
    on_card: bool

    @property
    def seen(self) -> bool:
        """Whether the process holds the cache: it grew, and no part of the model is on a card.

        A card's memory is not in the process's: what grows there is not seen here.
        """
        return self.low is not None and self.low > 0 and not self.on_card

    def result(self, verdict: ClaimVerdict, memory: Evidence) -> ClaimResult:
        values: dict[str, Any] = {"mib": _whole(self.mib), "low": _whole(self.low), "high": _whole(self.high)}
        values["length"] = memory.study.base.max_new_tokens
        if verdict == "undecided":
            values["how"] = "on_card" if self.on_card else "unseen"
        answers = len(memory.answers)
        return ClaimResult(
            "", "", verdict, self.mib, self.low, self.high, "MiB", "claims-memory", answers, values
        )


def _growth(memory: Evidence, context: str) -> _Growth:
    change = memory.compare("memory_bytes", context, "2048")
    mib, low, high = (math.nan, None, None) if change is None else _in_mib(change)
    return _Growth(mib, low, high, on_card=bool(memory.engine.get("gpu_layers")))


def _in_mib(change: MeasureComparison) -> tuple[float, float | None, float | None]:
    low = None if change.low_corrected is None else change.low_corrected / 2**20
    high = None if change.high_corrected is None else change.high_corrected / 2**20
    return change.difference / 2**20, low, high


@dataclass(frozen=True, slots=True)
class _Paired:
    """Single differences of which more than 0 confirms, and nothing beyond the margin refutes. why: the
    reason for which it is undecided."""

    verdict: ClaimVerdict
    mean: float
    low: float | None
    high: float | None
    count: int
    why: dict[str, Any] = field(default_factory=dict)

    def result(self, study: str, unit: str, values: Mapping[str, object]) -> ClaimResult:
        shown = {"mean": _two(self.mean), "low": _two(self.low), "high": _two(self.high), **self.why}
        return ClaimResult(
            "", "", self.verdict, self.mean, self.low, self.high, unit, study, self.count, {**shown, **values}
        )


def _paired(differences: Sequence[float], margin: float, blocked: float = 0.0) -> _Paired:
    """Judge differences. blocked: the share of them that could not have been larger than 0."""
    if not differences:
        return _Paired("undecided", math.nan, None, None, 0, _few(0))
    column = np.asarray(differences, dtype=float)[:, None]
    intervals = stats.bootstrap_intervals(column)
    p = float(stats.permutation_p(column)[0])
    p_same = float(stats.equivalence_p(column, margin, margin / 4)[0])
    low = None if len(differences) < FEWEST_PAIRS else float(intervals.low[0])
    high = None if len(differences) < FEWEST_PAIRS else float(intervals.high[0])
    verdict: ClaimVerdict = "undecided"
    why: dict[str, Any] = {"why": "wide"}
    if low is not None and high is not None:
        if p < 0.05 and low > 0:
            verdict = "confirmed"
        elif p_same < 0.05 or (p < 0.05 and high < 0):
            verdict = "refuted"
        elif low > 0 or high < 0:
            why = {"why": "near", "p": f"{p:.2g}"}
    if blocked > BLOCKED and verdict != "confirmed":
        verdict, why = "undecided", {"why": "bound", "share": _percent(blocked)}
    elif len(differences) < FEWEST_UNITS:
        verdict, why = "undecided", _few(len(differences))
    return _Paired(verdict, float(intervals.mean[0]), low, high, len(differences), why)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a comparison says of a claim. opposite: it moved the other way. why: the reason for which it is
    undecided."""

    verdict: ClaimVerdict
    opposite: bool = False
    why: dict[str, Any] = field(default_factory=dict)


def _judge(comparison: MeasureComparison | None, claimed: Literal["higher", "lower", "changed"]) -> _Judged:
    """Judge the claim that a measure is higher (lower, another) than in the baseline."""
    if comparison is None or comparison.units < FEWEST_UNITS:
        return _Judged("undecided", why=_few(0 if comparison is None else comparison.units))
    if comparison.kind == "different":
        as_claimed = claimed == "changed" or (comparison.difference > 0) == (claimed == "higher")
        return _Judged("confirmed" if as_claimed else "refuted", opposite=not as_claimed)
    at = comparison.at_bound
    blocked = {"higher": at.ceiling, "lower": at.floor, "changed": at.both}[claimed]
    if at.both > SATURATED:
        blocked = max(blocked, at.both)
    if blocked > BLOCKED:
        return _Judged("undecided", why={"why": "bound", "share": _percent(blocked)})
    if comparison.kind == "same":
        return _Judged("refuted")
    if comparison.p is not None and comparison.p < 0.05:
        return _Judged("undecided", why={"why": "chance", "comparisons": comparison.comparisons})
    low, high = comparison.low_corrected, comparison.high_corrected
    if low is None or high is None or low <= 0 <= high:
        return _Judged("undecided", why={"why": "wide"})
    return _Judged("undecided", why={"why": "near", "p": f"{comparison.p or 1.0:.2g}"})


def _few(units: int) -> dict[str, object]:
    return {"why": "few", "units": units, "least": FEWEST_UNITS}


def _of(
    comparison: MeasureComparison | None,
    verdict: ClaimVerdict,
    study: str,
    answers: int,
    values: Mapping[str, object],
) -> ClaimResult:
    if comparison is None:
        return ClaimResult("", "", "undecided", study=study, answers=answers, values=values)
    unit = "nats" if comparison.measure in ("entropy", "mean_nll") else "share"
    low, high = comparison.low_corrected, comparison.high_corrected
    return ClaimResult("", "", verdict, comparison.difference, low, high, unit, study, answers, values)


def _named(result: ClaimResult, claim: str, model: str) -> ClaimResult:
    """Return a rule's result under its claim; the reason why it is undecided stays only where it is."""
    figure = None if result.figure is None or math.isnan(result.figure) else result.figure
    values = {name: value for name, value in result.values.items() if name != "why" or result.undecided}
    return replace(result, claim=claim, model=model, figure=figure, values=values)


def _untested(claim: str, model: str) -> ClaimResult:
    return ClaimResult(claim, model, "undecided")


def _is(comparison: MeasureComparison | None, what: Literal["higher", "lower", "same"]) -> bool:
    if comparison is None or comparison.kind == "undecided":
        return False
    if what == "same":
        return comparison.kind == "same"
    return comparison.kind == "different" and (comparison.difference > 0) == (what == "higher")


def _shown(comparison: MeasureComparison | None, name: str, scale: float = 100.0) -> dict[str, str]:
    """Values for a sentence: difference and interval, shares in points."""
    if comparison is None:
        return {name: "–", f"{name}_low": "–", f"{name}_high": "–"}
    parts = {
        name: comparison.difference,
        f"{name}_low": comparison.low_corrected,
        f"{name}_high": comparison.high_corrected,
    }
    digits = 2 if scale == 1.0 else 1
    return {
        key: signed_text(None if value is None else value * scale, digits) for key, value in parts.items()
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"


def _two(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _whole(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.0f}".replace("-", "−")
