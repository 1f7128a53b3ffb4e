"""The list of studies: one's own with their state, and those that come with the product."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import streamlit as st

from twokeys.core.study.lab import StudyView
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape, markdown_label
from twokeys.ui.lab import plan, steps
from twokeys.ui.words import t

REDRAW_S = 2
TAGS = {"running": "", "waiting": "", "failed": "warm"}


def draw() -> None:
    """Draw both lists."""
    views = state.services().lab.list(100)
    active = any(view.state in steps.ACTIVE for view in views)
    widgets.section(t("labpage.shelf.own"))
    st.fragment(_own, run_every=REDRAW_S if active else None)(active)
    widgets.section(t("labpage.shelf.shipped"))
    widgets.note(t("labpage.shelf.shipped_note"))
    with st.container(key="lab_shipped"):
        for name, study in state.services().lab.shipped(words.language()).items():
            facts = t(
                "labpage.shelf.size",
                prompts=len(study.prompts),
                cells=len(study.cells),
                answers=study.generations,
            )
            seconds = state.services().lab.plan(study).seconds
            time = plan.time_text(seconds) if seconds is not None else t("labpage.shelf.time_unknown")
            facts = f"{facts} · {time}"
            with st.container(
                key=f"row_shipped_{name}",
                horizontal=True,
                vertical_alignment="center",
                gap="small",
                wrap=False,
            ):
                st.button(
                    markdown_label(study.title_in(words.language())),
                    key=f"list_open_shipped_{name}",
                    type="tertiary",
                    icon=":material/science:",
                    width="stretch",
                    on_click=steps.open_view,
                    args=("new", name),
                )
                widgets.html(f'<span class="tk-under">{escape(facts)}</span>')


def _own(was_active: bool) -> None:
    views = state.services().lab.list(100)
    if state.take_redraw() or was_active != any(view.state in steps.ACTIVE for view in views):
        st.rerun()
    if not views:
        widgets.note(t("labpage.shelf.empty"))
    with st.container(key="history"):
        for view in views:
            _row(view)


def _row(view: StudyView) -> None:
    with st.container(
        key=f"row_lab_{view.id}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
    ):
        st.button(
            markdown_label(view.study.title_in(words.language())),
            key=f"list_open_lab_{view.id}",
            type="tertiary",
            icon=":material/biotech:",
            width="stretch",
            on_click=_and_redraw,
            args=(steps.open_study, view.id),
        )
        when = datetime.fromtimestamp(view.created_at).strftime("%m-%d %H:%M")
        facts = " · ".join(part for part in (f"{view.done}/{view.total}", view.model, when) if part)
        tag = widgets.tag(t(f"labpage.state.{view.state}"), TAGS.get(view.state, "plain"))
        widgets.html(f'<span class="tk-under">{tag} {escape(facts)}</span>')
        if view.state in steps.ACTIVE:
            st.button("", key=f"lab_pause_{view.id}", icon=":material/pause:", type="tertiary",
                      help=t("labpage.run.pause"), disabled=view.elsewhere,
                      on_click=steps.pause, args=(view.id,))  # fmt: skip
        elif view.state != "done":
            st.button("", key=f"lab_start_{view.id}", icon=":material/play_arrow:", type="tertiary",
                      help=t("labpage.run.go_on" if view.done else "labpage.run.start"),
                      on_click=_and_redraw, args=(steps.start, view.id))  # fmt: skip
        st.button("", key=f"lab_delete_{view.id}", icon=":material/delete:", type="tertiary",
                  help=t("ui.delete"), on_click=_and_redraw, args=(steps.delete, view))  # fmt: skip


def _and_redraw(act: Callable[[Any], None], what: object) -> None:
    """Act on a row; what follows is drawn outside the list."""
    act(what)
    state.ask_redraw()
