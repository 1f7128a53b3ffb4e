"""The claims C1–C15 with what was found of them here and on the shipped models; run them on one's own."""

import streamlit as st

from twokeys.core.study.claims import CLAIMS, ClaimResult, claim_text, known_claims
from twokeys.core.study.study import shipped_group
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import papers, plan, reading, steps
from twokeys.ui.words import t

KINDS = {"confirmed": "", "refuted": "warm", "undecided": "plain"}


def draw(*, has_model: bool) -> None:
    """Draw every claim with its verdicts, what they rest on folded, and the study on one's own model."""
    services = state.services()
    own = services.lab.claims()
    rows = known_claims(own)
    examined = frozenset((row.model, row.claim) for row in own if row.answers)
    widgets.html(
        '<div class="lab-claims-head"><span></span>'
        + "".join(
            f"<span>{escape(t(f'labpage.claims.head.{name}'))}</span>" for name in ("claim", "shipped", "own")
        )
        + "</div>"
        + "".join(_claim(name, [row for row in rows if row.claim == name], examined) for name in CLAIMS)
    )
    widgets.note(t("labpage.claims.small"))
    with st.container(key="card_lab_claims"):
        studies = shipped_group("claims")
        plans = [services.lab.plan(study) for study in studies]
        seconds = [plan.seconds for plan in plans if plan.seconds is not None]
        whole = sum(seconds) if len(seconds) == len(plans) else None
        answers = sum(plan.generations for plan in plans)
        note = t("labpage.claims.run_note", answers=answers, time=plan.time_text(whole))
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("labpage.claims.run_title"))}</h3>'
            f"<p>{escape(note)}</p></div>"
        )
        if st.button(t("labpage.claims.run"), key="lab_claims_run", type="primary",
                     icon=":material/science:", disabled=not has_model):  # fmt: skip
            steps.run_group(studies)
            steps.open_view("studies")
            st.rerun()
        if not has_model:
            widgets.note(t("labpage.no_model"))
    reading.card(has_model=has_model)
    papers.draw(has_model=has_model)


def _verdicts(rows: list[ClaimResult]) -> str:
    """Return each verdict once, in the order of the rows."""
    named = dict.fromkeys((row.verdict_text(words.language()), KINDS[row.verdict]) for row in rows)
    return " ".join(widgets.tag(text, kind) for text, kind in named)


def _claim(name: str, rows: list[ClaimResult], examined: frozenset[tuple[str, str]]) -> str:
    """Return a claim with its verdicts in one row. examined: models and claims of one's own studies."""
    language = words.language()
    mine = [row for row in rows if (row.model, row.claim) in examined]
    shipped = [row for row in rows if row not in mine]
    not_run = widgets.tag(t("labpage.claims.not_run"), "plain")
    results = "".join(
        f"<li>{widgets.tag(row.verdict_text(language), KINDS[row.verdict])}"
        f"<span><b>{escape(row.model)}</b> {escape(row.sentence(language))}"
        f"<small>{escape(row.decided_by(language) or row.scope(language))}</small></span></li>"
        for row in rows
    )
    return (
        f'<details class="lab-claim"><summary><span>{name}</span><b>{escape(claim_text(name, language))}</b>'
        f"<span>{_verdicts(shipped) or not_run}</span><span>{_verdicts(mine) or not_run}</span></summary>"
        f"<ul>{results}</ul></details>"
    )
