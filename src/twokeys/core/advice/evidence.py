"""Which claims a piece of advice rests on, and what studies said of them, in one line.

Advice that rests on no claim that was examined says so. Judges nothing itself: see core.study.claim_rules.
"""

from collections.abc import Mapping, Sequence

from twokeys.core.advice.tasks import BY_NAME
from twokeys.core.study.claims import ClaimResult, load_claims
from twokeys.i18n import translate

OF_COMBINATIONS: Mapping[str, tuple[str, ...]] = {
    "precise": ("C1", "C2"),
    "professional": ("C2",),
    "creative": ("C1",),
}
OF_COACH: Mapping[str, tuple[str, ...]] = {
    "hot_exact": ("C1",),
    "cold_open": ("C1",),
    "vague": ("C12",),
    "stiff": ("C11",),
    "role": ("C11",),
}
"""By the kinds of DraftAdvice; the other kinds rest on no claim."""
OF_FAMILIES: Mapping[str, tuple[str, ...]] = {"exact": ("C1",), "steady": ("C2",), "open": ("C1",)}


def claims_behind(name: str) -> tuple[str, ...]:
    """Return the claims behind a golden combination, a kind of the coach's lines, or a task; maybe none."""
    task = BY_NAME.get(name)
    if task is not None:
        return (*OF_FAMILIES[task.family], *(("C14",) if task.segments else ()))
    return OF_COMBINATIONS.get(name) or OF_COACH.get(name, ())


def evidence_line(
    name: str, model: str | None, language: str, rows: Sequence[ClaimResult] | None = None
) -> str:
    """Return one line on what is known of the claims behind a piece of advice, or that nothing was measured.

    rows: results of studies, by default the shipped ones. What was found on the model comes first; else the
    verdict of another model, a decided one if there is one.
    """
    known = load_claims() if rows is None else rows
    said = []
    for claim in claims_behind(name):
        of_claim = [row for row in known if row.claim == claim and row.answers]
        if not of_claim:
            continue
        row = next((row for row in of_claim if row.model == model), None) or min(
            of_claim, key=lambda row: row.undecided
        )
        said.append(
            translate("advice.evidence.claim", language, claim=claim, verdict=row.verdict_text(language))
            if row.undecided
            else translate(
                "advice.evidence.claim_on", language, claim=claim, verdict=row.verdict_text(language),
                model=row.model,
            )
        )  # fmt: skip
    if not said:
        return translate("advice.evidence.none", language)
    joined = translate("advice.evidence.and", language).join(said)
    return translate("advice.evidence.line", language, said=joined)
