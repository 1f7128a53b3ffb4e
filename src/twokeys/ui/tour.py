"""The beginner's tour: three steps on first use, to be skipped at any moment, and never again."""

import streamlit as st

from twokeys.ui import state, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t

DONE_SETTING = "ui.tour_done"
STEPS = 3
_STEP = state.TabValue[int]("tour_step", 1)


def draw() -> None:
    """Draw the present step as a card; nothing once the tour was finished, skipped or not needed."""
    if _done():
        return
    step = _STEP.get()
    with st.container(key="card_tour"):
        widgets.html(
            f'<div class="tk-card" role="status"><p class="tk-under">{escape(t("advice.tour.title"))} · '
            f"{escape(t('advice.tour.step', number=step))}</p>"
            f"<h3>{escape(t(f'advice.tour.{step}.title'))}</h3><p>{escape(t(f'advice.tour.{step}.text'))}</p></div>"
        )
        with st.container(horizontal=True, key="tour_buttons"):
            last = step == STEPS
            st.button(
                t("advice.tour.done") if last else t("advice.tour.next"),
                key="tour_next",
                type="primary",
                on_click=_finish if last else _next,
            )
            if not last:
                st.button(t("advice.tour.skip"), key="tour_skip", type="tertiary", on_click=_finish)


def _done() -> bool:
    """Whether there is nothing to show: also for someone who has talked here before."""
    services = state.services()
    if services.repository.get_setting(DONE_SETTING) is True:
        return True
    if any(one.head_id is not None for one in services.conversations.latest(limit=20)):
        _finish()
        return True
    return False


def _next() -> None:
    _STEP.set(min(STEPS, _STEP.get() + 1))


def _finish() -> None:
    state.services().repository.set_setting(DONE_SETTING, True)
