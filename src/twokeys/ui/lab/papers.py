"""Papers as buttons: what each says, what a run here could see, and what runs on models said of it."""

import streamlit as st

from twokeys.core.study.papers import PAPERS, Paper, PaperResult, known_papers
from twokeys.core.study.study import shipped_studies
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import plan, steps
from twokeys.ui.words import t

KINDS = {"holds": "", "fails": "warm", "undecided": "plain"}


def draw(*, has_model: bool) -> None:
    """Draw each paper with its rows and the button that tries it on one's own model."""
    rows = known_papers(state.services().lab.papers())
    widgets.section(t("labpage.papers.title"))
    widgets.note(t("labpage.papers.lead"))
    for paper in PAPERS:
        widgets.html(_paper(paper, [row for row in rows if row.paper == paper.name]))
        if st.button(t("labpage.papers.run"), key=f"lab_paper_{paper.name}", icon=":material/science:",
                     disabled=not has_model):  # fmt: skip
            steps.run_group((shipped_studies()[paper.study],))
            steps.open_view("studies")
            st.rerun()


def _paper(paper: Paper, rows: list[PaperResult]) -> str:
    language = words.language()
    results = "".join(
        f"<li>{widgets.tag(row.verdict_text(language), KINDS[row.verdict])}"
        f"<span><b>{escape(row.model)}</b> {escape(row.sentence(language))}</span></li>"
        for row in rows
    )
    if not rows:
        results = f"<li>{widgets.tag(t('labpage.claims.not_run'), 'plain')}</li>"
    return (
        f'<section class="lab-paper"><h3>{escape(paper.title(language))}</h3>'
        f"<p>{escape(paper.hypothesis(language))}</p>"
        f'<p class="tk-under">arXiv {escape(paper.arxiv)} · {escape(_beforehand(paper))}</p>'
        f"<ul>{results}</ul></section>"
    )


def _beforehand(paper: Paper) -> str:
    """Return what a run means and could see, before it is started."""
    study = shipped_studies()[paper.study]
    planned = state.services().lab.plan(study)
    size = t("labpage.shelf.size", prompts=len(study.prompts), cells=len(study.cells),
             answers=study.generations)  # fmt: skip
    parts = [size, plan.time_text(planned.seconds)]
    power = next((row for row in planned.power if row.measure == paper.measure), None)
    if power is not None and power.smallest is not None:
        parts.append(t("labpage.papers.sees", smallest=plan.smallest_text(power)))
    parts.append(paper.margin_text(words.language()))
    return " · ".join(part for part in parts if part)
