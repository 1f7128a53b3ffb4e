"""Does every rule of the lab find a known truth? Rows of studies drawn at random, judged 1000 times each.

    python benchmarks/known_truth.py [--studies 1000]

For each claim and paper that is decided by chance: a truth that should confirm it, one that should refute
it, one without an effect, and one with the measure at its limit, where nothing may be decided. Prints how
often the verdict was right and how often false: a decided verdict that is not the truth. Memory is not
drawn by chance, and C6 and C10 are decided by a card. Where there is no effect at all a claim may be refuted
(nothing that matters) or stay undecided: only a confirmation is false.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twokeys.core.study.answer_tree import AnswerTree, TreeNode
from twokeys.core.study.claim_rules import examine_one
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.paper_rules import examine_paper
from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.spectrum import Spectrum
from twokeys.core.study.study import Study, shipped_studies

Draw = Callable[[np.random.Generator], dict[str, Evidence]]
PROMPTS, FEWER = 40, 24
CHOICE = Checker("choice", "A", ("A", "B"))


@dataclass(frozen=True, slots=True)
class Truth:
    """A known truth. subject: the claim or the paper. right: the verdict it should get, "" where it only must
    not get one of `wrong`."""

    subject: str
    name: str
    right: str
    wrong: tuple[str, ...]
    draw: Draw


@dataclass(frozen=True, slots=True)
class Score:
    """How often the verdict was right and how often false, of so many studies."""

    right: float
    false: float
    studies: int


def score(truth: Truth, studies: int, seed: int = 1) -> Score:
    """Judge so many drawn studies of one truth."""
    rng = np.random.default_rng(seed)
    verdicts = [verdict_of(truth.subject, truth.draw(rng)) for _ in range(studies)]
    return Score(
        sum(verdict == truth.right for verdict in verdicts) / studies if truth.right else float("nan"),
        sum(verdict in truth.wrong for verdict in verdicts) / studies,
        studies,
    )


def verdict_of(subject: str, studies: Mapping[str, Evidence]) -> str:
    """Return what the rule of a claim or a paper says of the studies."""
    if subject.startswith("C"):
        return examine_one(subject, studies).verdict
    return examine_paper(subject, studies).verdict


# ---- rows drawn at random ---------------------------------------------------------------------


def drawn(
    name: str,
    value: Callable[[str, int, int], Mapping[str, float]],
    *,
    of_sets: Callable[[str, int], Mapping[str, float]] | None = None,
    text: Callable[[str, int, int], Mapping[str, Any]] = lambda cell, p, s: {},
    prompts: int = PROMPTS,
    seeds: int = 2,
    own_prompts: bool = False,
) -> Evidence:
    """Return rows of a shipped study with many prompts and the values that are given for a cell's name, a
    prompt and a seed."""
    shipped = shipped_studies()[name]
    first = shipped.prompts[0]
    many = tuple(StudyPrompt(f"p{p}", first.text, first.task, first.language, CHOICE) for p in range(prompts))
    chosen = shipped.prompts if own_prompts else many
    study = Study(
        name, chosen, shipped.cells, seeds=seeds, baseline=shipped.baseline, base=shipped.base,
        outcomes=shipped.outcomes,
    )  # fmt: skip
    answers: list[dict[str, Any]] = []
    sets: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for c, cell in enumerate(study.cells):
        for p in range(len(chosen)):
            for s in range(seeds):
                place = {"c": c, "p": p, "s": s}
                answers.append(place | {"v": dict(value(cell.name, p, s))})
                texts.append(place | {"text": "", "along": {}, "finish": "stop", **text(cell.name, p, s)})
            if of_sets is not None:
                sets.append({"c": c, "p": p, "v": dict(of_sets(cell.name, p))})
    return Evidence(study, "invented", answers, sets, texts)


def near(rng: np.random.Generator, value: float, spread: float) -> float:
    """Return a share near a value."""
    return float(np.clip(rng.normal(value, spread), 0.0, 1.0))


def diverse(
    rng: np.random.Generator, hot: float, right: Sequence[float], cold: float = 0.5
) -> dict[str, Evidence]:
    """Similarity `cold` at 0.3 and `hot` at 1.0; chances of being right at 0.3, 0.7 and 1.0."""
    alike = drawn(
        "claims-diversity",
        lambda cell, p, s: {},
        of_sets=lambda cell, p: {
            "similarity": near(rng, hot if cell.startswith("1.0") else cold, 0.06 if cold else 0.0)
        },
    )
    return {"claims-diversity": alike, **correct(rng, right)}


def correct(rng: np.random.Generator, right: Sequence[float]) -> dict[str, Evidence]:
    chances = dict(zip(("0.3", "0.7", "1.0"), right, strict=True))
    evidence = drawn(
        "claims-correct", lambda cell, p, s: {"correct": float(rng.random() < chances[cell])}, prompts=60
    )
    return {"claims-correct": evidence}


def long_texts(rng: np.random.Generator, early: float, late: float, growth: float) -> dict[str, Evidence]:
    """Repetition before and after 2500 tokens, and how the time grows with the square of the length."""

    def text(cell: str, p: int, s: int) -> Mapping[str, Any]:
        rep = [near(rng, early, 0.05) for _ in range(19)] + [near(rng, late, 0.05) for _ in range(13)]
        pace = rng.normal(1.0, 0.05)
        elapsed = [pace * (step + growth * step * step) + rng.normal(0, 0.05) for step in range(1, 33)]
        return {"along": {"rep_4": rep, "elapsed_s": elapsed}}

    return {"claims-long": drawn("claims-long", lambda cell, p, s: {}, text=text, prompts=12, seeds=1)}


def cut_off(rng: np.random.Generator, complete: float) -> dict[str, Evidence]:
    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        return {"truncated": float(rng.random() > complete), "tokens": 300.0}

    return {"claims-length": drawn("claims-length", value, seeds=1)}


def stalls(rng: np.random.Generator, harm: float) -> dict[str, Evidence]:
    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        stalled = float(s == 0 and p % 2)
        return {"stalls": stalled, "mean_nll": float(rng.normal(0.8 + harm * stalled, 0.15))}

    return {"claims-diversity": drawn("claims-diversity", value)}


def inertia(rng: np.random.Generator, same: float, more: float, variety: float = 0.7) -> dict[str, Evidence]:
    """same: the share of answers that are word for word those of a fresh engine."""

    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        level = variety + (more if cell != "fresh" else 0.0)
        return {"distinct_2": near(rng, level, 0.04 if variety < 1 else 0.0)}

    def text(cell: str, p: int, s: int) -> Mapping[str, Any]:
        same_text = cell == "fresh" or rng.random() < same
        return {"text": f"{p} {s}" if same_text else f"{p} {s} {cell}"}

    return {"claims-state": drawn("claims-state", value, text=text)}


def vague(rng: np.random.Generator, more: float) -> dict[str, Evidence]:
    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        return {"entropy": float(rng.normal(1.0 + (more if cell == "vague 1.0" else 0.0), 0.2))}

    return {"claims-prompt": drawn("claims-prompt", value)}


def repeated(rng: np.random.Generator, go: float, cooler: float, parts: float) -> dict[str, Evidence]:
    level = {"in one go": go, "in one go, 0.5": cooler, "in 4 parts": parts}

    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        return {"rep_4": near(rng, level[cell], 0.05 if level[cell] not in (0.0, 1.0) else 0.0)}

    return {"claims-segments": drawn("claims-segments", value)}


def looped(rng: np.random.Generator, cold: float, hot: float) -> dict[str, Evidence]:
    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        return {"looped": float(rng.random() < (cold if cell == "0.0" else hot))}

    return {"paper-loops": drawn("paper-loops", value, prompts=FEWER)}


def turned(rng: np.random.Generator, cubic: float) -> dict[str, Evidence]:
    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        heat = float(cell.partition("=")[2])
        shape = np.exp(cubic * (heat - 0.9) ** 3 + 0.5 * heat)
        return {"entropy": float(shape * rng.lognormal(0, 0.1))}

    return {"paper-turning": drawn("paper-turning", value, prompts=24, seeds=1)}


def lengths(rng: np.random.Generator, short: float, longest: float) -> dict[str, Evidence]:
    prompts = shipped_studies()["paper-length"].prompts

    def value(cell: str, p: int, s: int) -> Mapping[str, float]:
        level = longest if prompts[p].length == 1024 else short
        return {"length_score": float(np.clip(rng.normal(level, 8.0 if level else 0.0), 0, 100))}

    return {"paper-length": drawn("paper-length", value, seeds=1, own_prompts=True)}


def asked(
    rng: np.random.Generator, likelihoods: Callable[[int], Sequence[float]], questions: int = PROMPTS
) -> dict[str, Evidence]:
    """An exact study of questions with one token each. likelihoods: the right token's, then the others'."""
    texts = []
    for p in range(questions):
        chances = np.clip(np.asarray(likelihoods(p)), 1e-12, None)
        order = np.argsort(-chances, kind="stable")
        spectrum = Spectrum.of(np.log(chances[order] / chances.sum()))
        tree = AnswerTree((TreeNode(spectrum, {int(np.flatnonzero(order == 0)[0]): 1.0}, {}),))
        texts.append({"c": 0, "p": p, "s": 0, "tree": tree.to_dict()})
    evidence = drawn("claims-exact", lambda cell, p, s: {}, prompts=questions, seeds=1)
    return {"claims-exact": Evidence(evidence.study, "invented", evidence.answers, [], texts)}


def chosen(rng: np.random.Generator, doubt: float) -> dict[str, Evidence]:
    """Questions of two options; doubt: of the likelier one at temperature 1. One in five is wrong cold."""

    def likelihoods(p: int) -> Sequence[float]:
        wrong = float(np.clip(rng.normal(doubt, doubt / 4), 1e-9, 0.49))
        return [wrong, 1 - wrong] if rng.random() < 0.2 else [1 - wrong, wrong]

    return asked(rng, likelihoods)


def solved(rng: np.random.Generator, share: float, cold: float = 0.3) -> dict[str, Evidence]:
    """Questions of which a share stands out of a long tail when cool; the others come up only when hot."""

    def likelihoods(p: int) -> Sequence[float]:
        if rng.random() < share:
            return [0.02 * rng.lognormal(0, 0.2), *[1e-4] * 9800]
        second = cold * rng.lognormal(0, 0.2)
        return [second, 1 - min(second, 0.9)]

    return asked(rng, likelihoods)


def tailed(rng: np.random.Generator, tail: int, known: float = 0.6) -> dict[str, Evidence]:
    """Questions of which a share is known; tail: how many unlikely tokens share what is left by the best."""

    def likelihoods(p: int) -> Sequence[float]:
        best, other = (
            float(np.clip(rng.normal(0.3 if tail else 0.85, 0.03), 0.05, 0.95)),
            0.02 if known else 1e-9,
        )
        right, wrong = (best, other) if rng.random() < known else (other, best)
        return [right, wrong, *[(1 - best - other) / tail] * tail] if tail else [right, wrong]

    return asked(rng, likelihoods, FEWER)


DECIDED = ("confirmed", "refuted")
TRUTHS: tuple[Truth, ...] = (
    Truth("C1", "true", "confirmed", ("refuted",), lambda r: diverse(r, 0.3, (0.8, 0.65, 0.45))),
    Truth("C1", "at its limit", "undecided", DECIDED, lambda r: diverse(r, 0.0, (0.0, 0.0, 0.0), cold=0.0)),
    Truth("C1", "no effect", "", ("confirmed",), lambda r: diverse(r, 0.5, (0.6, 0.6, 0.6))),
    Truth("C2", "true", "confirmed", ("refuted",), lambda r: correct(r, (0.45, 0.8, 0.45))),
    Truth("C2", "false", "refuted", ("confirmed",), lambda r: correct(r, (0.85, 0.55, 0.4))),
    Truth("C2", "all right", "undecided", DECIDED, lambda r: correct(r, (1.0, 1.0, 1.0))),
    Truth("C2", "none right", "undecided", DECIDED, lambda r: correct(r, (0.0, 0.0, 0.0))),
    Truth("C2", "no effect", "", ("confirmed",), lambda r: correct(r, (0.6, 0.6, 0.6))),
    Truth("C4", "true", "confirmed", ("refuted",), lambda r: long_texts(r, 0.3, 0.6, 0.0)),
    Truth("C4", "false", "refuted", ("confirmed",), lambda r: long_texts(r, 0.4, 0.4, 0.0)),
    Truth("C4", "at its limit", "undecided", DECIDED, lambda r: long_texts(r, 1.0, 1.0, 0.0)),
    Truth("C5", "true", "confirmed", ("refuted",), lambda r: long_texts(r, 0.3, 0.3, 0.02)),
    Truth("C5", "false", "refuted", ("confirmed",), lambda r: long_texts(r, 0.3, 0.3, 0.0)),
    Truth("C7", "true", "confirmed", ("refuted",), lambda r: cut_off(r, 0.97)),
    Truth("C7", "false", "refuted", ("confirmed",), lambda r: cut_off(r, 0.4)),
    Truth("C8", "true", "confirmed", ("refuted",), lambda r: stalls(r, 0.4)),
    Truth("C8", "false", "refuted", ("confirmed",), lambda r: stalls(r, 0.0)),
    Truth("C9", "true", "confirmed", ("refuted",), lambda r: inertia(r, 0.0, 0.1)),
    Truth("C9", "false", "refuted", ("confirmed",), lambda r: inertia(r, 1.0, 0.0)),
    Truth("C9", "at its limit", "undecided", DECIDED, lambda r: inertia(r, 0.6, 0.0, variety=1.0)),
    Truth("C12", "true", "confirmed", ("refuted",), lambda r: vague(r, 0.4)),
    Truth("C12", "false", "refuted", ("confirmed",), lambda r: vague(r, -0.3)),
    Truth("C12", "no effect", "", ("confirmed",), lambda r: vague(r, 0.0)),
    Truth("C13", "true", "confirmed", ("refuted",), lambda r: repeated(r, 0.5, 0.4, 0.5)),
    Truth("C13", "false", "refuted", ("confirmed",), lambda r: repeated(r, 0.5, 0.5, 0.5)),
    Truth("C13", "complete", "undecided", DECIDED, lambda r: repeated(r, 1.0, 1.0, 1.0)),
    Truth("C13", "at its limit", "undecided", DECIDED, lambda r: repeated(r, 0.0, 0.0, 0.0)),
    Truth("C14", "true", "confirmed", ("refuted",), lambda r: repeated(r, 0.5, 0.5, 0.4)),
    Truth("C14", "false", "refuted", ("confirmed",), lambda r: repeated(r, 0.5, 0.5, 0.6)),
    Truth("C14", "at its limit", "undecided", DECIDED, lambda r: repeated(r, 0.0, 0.0, 0.0)),
    Truth("loops", "true", "holds", ("fails",), lambda r: looped(r, 0.6, 0.1)),
    Truth("loops", "false", "fails", ("holds",), lambda r: looped(r, 0.1, 0.6)),
    Truth("loops", "no effect", "", ("holds",), lambda r: looped(r, 0.3, 0.3)),
    Truth("loops", "at its limit", "undecided", ("holds", "fails"), lambda r: looped(r, 1.0, 1.0)),
    Truth("turning", "true", "holds", ("fails",), lambda r: turned(r, 1.0)),
    Truth("turning", "false", "fails", ("holds",), lambda r: turned(r, -1.0)),
    Truth("length", "true", "holds", ("fails",), lambda r: lengths(r, 85.0, 40.0)),
    Truth("length", "false", "fails", ("holds",), lambda r: lengths(r, 80.0, 90.0)),
    Truth("length", "at its limit", "undecided", ("holds", "fails"), lambda r: lengths(r, 0.0, 0.0)),
    Truth("union", "true", "holds", ("fails",), lambda r: solved(r, 0.5)),
    Truth("union", "false", "fails", ("holds",), lambda r: solved(r, 0.0)),
    Truth("union", "at its limit", "undecided", ("holds", "fails"), lambda r: solved(r, 0.0, 1e-9)),
    Truth("cuts", "true", "holds", ("fails",), lambda r: tailed(r, 0)),
    Truth("cuts", "false", "fails", ("holds",), lambda r: tailed(r, 100)),
    Truth("cuts", "at its limit", "undecided", ("holds", "fails"), lambda r: tailed(r, 0, 0.0)),
    Truth("choice", "true", "holds", ("fails",), lambda r: chosen(r, 1e-3)),
    Truth("choice", "false", "fails", ("holds",), lambda r: chosen(r, 0.4)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    print("| rule | truth | right | false |\n| --- | --- | --- | --- |", flush=True)
    began = time.monotonic()
    for truth in TRUTHS:
        result = score(truth, studies)
        right = "–" if not truth.right else f"{result.right:.1%}"
        print(f"| {truth.subject} | {truth.name} | {right} | {result.false:.1%} |", flush=True)
    print(f"{studies} studies each, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
