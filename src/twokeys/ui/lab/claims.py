"""The claims C1–C15 with what was found of them here and on the shipped models; run them on one's own."""

import streamlit as st

from twokeys.core.study.claims import CLAIMS, ClaimResult, claim_text, known_claims
from twokeys.core.study.study import shipped_group
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import plan, steps
from twokeys.ui.words import t

KINDS = {"confirmed": "", "refuted": "warm", "undecided": "plain"}


def draw(*, has_model: bool) -> None:
    """Draw the button, then every claim with its rows: one's own model first."""
    services = state.services()
    rows = known_claims(services.lab.claims())
    with st.container(key="card_lab_claims"):
        studies = shipped_group("claims")
        plans = [services.lab.plan(study) for study in studies]
        seconds = [one.seconds for one in plans if one.seconds is not None]
        whole = sum(seconds) if len(seconds) == len(plans) else None
        answers = sum(one.generations for one in plans)
        told = t("labpage.claims.run_note", answers=answers, time=plan.time_text(whole))
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("labpage.claims.run_title"))}</h3>'
            f"<p>{escape(told)}</p></div>"
        )
        if st.button(t("labpage.claims.run"), key="lab_claims_run", type="primary",
                     icon=":material/science:", disabled=not has_model):  # fmt: skip
            steps.run_group(studies)
            steps.open_view("studies")
            st.rerun()
        if not has_model:
            widgets.note(t("labpage.no_model"))
    widgets.html("".join(_claim(name, [row for row in rows if row.claim == name]) for name in CLAIMS))
    widgets.note(t("labpage.claims.small"))


def _claim(name: str, rows: list[ClaimResult]) -> str:
    language = words.language()
    found = "".join(
        f"<li>{widgets.tag(row.verdict_text(language), KINDS[row.verdict])}"
        f"<span><b>{escape(row.model)}</b> {escape(row.sentence(language))}"
        f"<small>{escape(row.scope(language))}</small></span></li>"
        for row in rows
    )
    if not rows:
        found = f"<li>{widgets.tag(t('labpage.claims.not_run'), 'plain')}</li>"
    return (
        f'<section class="lab-claim"><h3><span>{name}</span>{escape(claim_text(name, language))}</h3>'
        f"<ul>{found}</ul></section>"
    )
