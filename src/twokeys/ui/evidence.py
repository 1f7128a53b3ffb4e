"""The one line on what a piece of advice rests on; a click opens the lab's page, where the studies are."""

import streamlit as st

from twokeys.core.advice.evidence import claims_behind, evidence_line
from twokeys.core.study.measured import sentence
from twokeys.ui import navigation, state, widgets, words
from twokeys.ui.words import t


def draw(name: str, *, key: str) -> None:
    """Draw what the advice `name` (a combination, a kind of the coach's, a task) rests on."""
    line = text(name)
    if not claims_behind(name):
        widgets.note(line)
        return
    st.button(line, key=key, type="tertiary", icon=":material/science:",
              help=t("advice.evidence.open"), on_click=navigation.go_to, args=("lab",))  # fmt: skip


def text(name: str) -> str:
    """Return what the advice rests on, as one line."""
    return evidence_line(name, state.services().engines.name, words.language())


def measured_text() -> str:
    """Return what was measured by temperature on the model that answers now; "" where nothing was."""
    model = state.services().engines.name
    return sentence(state.services().lab.measured(model), words.language()) if model else ""


def draw_measured() -> None:
    """Draw what was measured by temperature, each with the study behind it."""
    model = state.services().engines.name
    rows = state.services().lab.measured(model) if model else ()
    if not rows:
        widgets.note(t("advice.measured.none"))
        return
    widgets.note(measured_text())
    for row in rows:
        label = t("advice.measured.study", study=_title(row.study), answers=row.answers)
        query = {"s": row.study_id} if row.study_id else {}
        st.button(label, key=f"measured_{row.measure}", type="tertiary", icon=":material/science:",
                  on_click=_open, args=(query,))  # fmt: skip


def _open(query: dict[str, str]) -> None:
    navigation.go_to("lab", **query)


def _title(study: str) -> str:
    from twokeys.core.study.study import shipped_studies

    known = shipped_studies().get(study)
    return study if known is None else known.title_in(words.language())
