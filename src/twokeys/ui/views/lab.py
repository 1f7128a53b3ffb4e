"""The lab: prove on this machine what temperature and length do.

`?s=<id>` opens a study; `?view=` chooses the list, a new study, the claims, tuning or reading blind, and
`?from=` is the shipped study a new one begins with.
"""

import streamlit as st

from twokeys.core.study.lab import StudyView
from twokeys.errors import NotFound
from twokeys.ui import navigation, state, widgets, words
from twokeys.ui.answering import answering
from twokeys.ui.format import escape
from twokeys.ui.lab import claims, reading, report, running, setup, shelf, steps, tune
from twokeys.ui.pages import Pages
from twokeys.ui.words import t

VIEWS = ("claims", "studies", "new", "tune")


def draw(pages: Pages) -> None:
    """Draw the page."""
    with st.container(key="page_wide"):
        view = _opened()
        if view is not None:
            _study(view, pages)
            return
        if st.query_params.get("view") == reading.VIEW:
            reading.draw()
            return
        widgets.page_heading(t("labpage.title"), t("labpage.lead"))
        name = _switch()
        has_model = answering(state.services()) is not None
        if name == "new":
            setup.draw(has_model=has_model)
        elif name == "claims":
            claims.draw(has_model=has_model)
        elif name == "tune":
            widgets.note(t("labpage.tune.lead"))
            tune.draw(has_model=has_model)
        else:
            shelf.draw()


def _opened() -> StudyView | None:
    study_id = st.query_params.get("s")
    if not study_id:
        return None
    try:
        return state.services().lab.view(study_id)
    except NotFound:
        widgets.error_card(t("labpage.missing"), t("labpage.missing_hint"))
        return None


def _switch() -> str:
    wanted = st.query_params.get("view", "")
    name = wanted if wanted in VIEWS else VIEWS[0]
    state.show_value("lab_view", name)
    st.segmented_control(
        t("labpage.view.label"),
        list(VIEWS),
        key="lab_view",
        required=True,
        format_func={view: t(f"labpage.view.{view}") for view in VIEWS}.__getitem__,
        on_change=_view_chosen,
        label_visibility="collapsed",
    )
    return name


def _view_chosen() -> None:
    steps.open_view(str(state.value_of("lab_view") or VIEWS[0]))


def _study(view: StudyView, pages: Pages) -> None:
    study = view.study
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key="lab_head"):
        st.button("", key="lab_back", icon=":material/arrow_back:", type="tertiary",
                  help=t("labpage.back"), on_click=steps.open_view, args=("studies",))  # fmt: skip
        size = t(
            "labpage.shelf.size",
            prompts=len(study.prompts),
            cells=len(study.cells),
            answers=study.generations,
        )
        facts = " · ".join(part for part in (size, view.model) if part)
        widgets.html(
            f'<div class="lab-title"><h1>{escape(study.title_in(words.language()))}</h1>'
            f"<span>{escape(facts)}</span></div>"
        )
    running.draw(view)
    if view.error is not None and view.state == "failed":
        widgets.error_card(*words.error_text(view.error))
        if view.error.get("code") == "model_missing":
            st.page_link(pages["models"], label=t("sidebar.model.choose"), query_params=navigation.address())
    wanted = view.state not in steps.ACTIVE or st.toggle(t("labpage.report.so_far"), key="lab_so_far")
    if view.done and wanted:
        report.draw(view.id)
