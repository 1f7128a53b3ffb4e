"""The page "Compare": ask one question in several ways at once, look closely, vote blind.

`?cmp=<id>` opens a comparison, `?from=<message id>` sets one up from a message, `?view=` chooses the
list of stored ones or the votes.
"""

import streamlit as st

from twokeys.core.compare.comparison import Comparison
from twokeys.errors import NotFound
from twokeys.ui import navigation, state, widgets
from twokeys.ui.answering import answering
from twokeys.ui.compare import board, differences, lens, setup, shelf, standing, voting
from twokeys.ui.pages import Pages
from twokeys.ui.words import t

VIEWS = ("ask", "stored", "votes")


def draw(pages: Pages) -> None:
    """Draw the page."""
    with st.container(key="page_full"):
        widgets.page_heading(t("compare.title"), t("compare.lead"))
        comparison = _opened()
        view = None if comparison is not None else _view()
        _switch(view)
        if comparison is not None:
            _one(comparison, pages)
        elif view == "stored":
            shelf.draw()
        elif view == "votes":
            standing.draw()
        else:
            _ask()


def _opened() -> Comparison | None:
    comparison_id = navigation.comparison_id()
    if comparison_id is None:
        return None
    try:
        found = state.services().compare.stored.get(comparison_id)
    except NotFound:
        found = None
    if found is None or found.deleted_at is not None:
        widgets.error_card(t("compare.missing"), t("compare.missing_hint"))
        return None
    return found


def _view() -> str:
    wanted = st.query_params.get("view", "")
    return wanted if wanted in VIEWS else "ask"


def _switch(view: str | None) -> None:
    state.show_value("compare_view", view)
    st.segmented_control(
        t("compare.view.label"),
        list(VIEWS),
        key="compare_view",
        format_func=lambda name: t(f"compare.view.{name}"),
        on_change=_view_chosen,
        label_visibility="collapsed",
    )


def _view_chosen() -> None:
    chosen = state.value_of("compare_view")
    navigation.open_comparison(None)
    if chosen in ("stored", "votes"):
        st.query_params["view"] = str(chosen)


def _ask() -> None:
    has_model = answering(state.services()) is not None
    started = setup.draw(navigation.conversation(), st.query_params.get("from"), has_model=has_model)
    if started is not None:
        navigation.open_comparison(started)
        st.rerun()


def _one(comparison: Comparison, pages: Pages) -> None:
    board.draw(comparison, pages)
    voting.draw(comparison)
    if not board.hidden(comparison) and not comparison.active:
        lens.draw(comparison)
        differences.draw(comparison)
