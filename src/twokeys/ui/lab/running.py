"""One study as it goes: how far, how long still, what is being written now, and its buttons."""

import streamlit as st

from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import StudyView
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.lab import engines, plan, steps
from twokeys.ui.words import t
from twokeys.units import duration_text

REDRAW_S = 1.0
SHOWN_CHARS = 280


def draw(view: StudyView) -> None:
    """Draw progress and buttons; while it runs, the part draws itself again and again."""
    active = view.state in steps.ACTIVE
    with st.container(key="card_lab_run"):
        st.fragment(_progress, run_every=REDRAW_S if active else None)(view.id, view.state)
        if view.state == "new":
            plan.draw(state.services().lab.plan(view.study))
        on: FleetSpec | None = None
        if not active and view.state != "done":
            on = engines.choose(view.id, view.asked)
        with st.container(horizontal=True, gap="small", key="lab_run_buttons"):
            _buttons(view, on)


def _progress(study_id: str, drawn: str) -> None:
    view = state.services().lab.view(study_id)
    if view.state != drawn and not (view.state in steps.ACTIVE and drawn in steps.ACTIVE):
        st.rerun()
    share = view.done / view.total if view.total else 0.0
    left = ""
    if view.state == "waiting":
        left = t("labpage.run.waiting") if view.error is None else words.error_text(view.error)[0]
    elif view.left_s is not None:
        left = t("labpage.run.left", time=duration_text(view.left_s, words.language()))
    counted = t("labpage.run.count", done=view.done, total=view.total)
    label = t(f"labpage.state.{view.state}")
    widgets.html(
        f"{widgets.bar(share, label=label)}"
        f'<div class="tk-progress" role="status"><span>{escape(label)} · {escape(counted)}</span>'
        f"<span>{escape(left)}</span></div>{engines.fleet(view.fleet)}{_now(view)}"
    )


def _now(view: StudyView) -> str:
    if view.state not in steps.ACTIVE:
        return ""
    if not view.now:
        return '<p class="lab-now"></p>'
    text = view.now["text"][-SHOWN_CHARS:]
    place = f"{view.now['cell']} · {view.now['prompt']}"
    return f'<p class="lab-now"><b>{escape(place)}</b>{escape(text)}</p>'


def _buttons(view: StudyView, on: FleetSpec | None) -> None:
    if view.state in steps.ACTIVE:
        st.button(t("labpage.run.pause"), key="lab_pause", icon=":material/pause:",
                  on_click=steps.pause, args=(view.id,), disabled=view.elsewhere)  # fmt: skip
        if view.elsewhere:
            widgets.note(t("lab.elsewhere"))
    elif view.state != "done":
        st.button(
            t("labpage.run.go_on" if view.done else "labpage.run.start"),
            key="lab_start",
            icon=":material/play_arrow:",
            type="primary",
            on_click=steps.start,
            args=(view.id, on),
            disabled=on is None,
        )
    else:
        if st.button(t("labpage.run.again"), key="lab_again", icon=":material/replay:",
                     help=t("labpage.run.again_help")):  # fmt: skip
            steps.create(view.study, start=True, on=view.asked)
            st.rerun()
    st.button(t("ui.delete"), key="lab_delete", icon=":material/delete:", type="tertiary",
              on_click=steps.delete, args=(view,))  # fmt: skip
