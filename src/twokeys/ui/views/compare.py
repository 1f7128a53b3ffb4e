"""The page "Compare": ask one question in several ways at once, look closely, vote blind.

`?cmp=<id>` opens a comparison, `?from=<message id>` sets one up from a message, `?view=` chooses the
list of stored ones or the votes.
"""

import streamlit as st

from twokeys.core.compare.comparison import Comparison
from twokeys.errors import NotFound
from twokeys.ui import navigation, state, widgets, words
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
            _comparison(comparison, pages)
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
        comparison = state.services().compare.stored.get(comparison_id)
    except NotFound:
        comparison = None
    if comparison is None or comparison.deleted_at is not None:
        widgets.error_card(t("compare.missing"), t("compare.missing_hint"))
        return None
    return comparison


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


def _comparison(comparison: Comparison, pages: Pages) -> None:
    board.draw(comparison, pages)
    voting.draw(comparison)
    if not board.hidden(comparison) and not comparison.active:
        _looks(comparison)


def _looks(comparison: Comparison) -> None:
    """Draw the ways to look at the finished columns, one at a time; the tokens where they were asked for."""
    at_tokens = lens.asked(comparison)
    titles = [t("compare.differ.title"), t("compare.differ.figures"), t("compare.lens.title")]
    texts, figures, tokens = st.tabs(
        titles,
        default=titles[2] if at_tokens else None,
        key=f"compare_looks_{'tokens' if at_tokens else 'texts'}_{words.language()}",
    )
    with texts:
        differences.draw_texts(comparison)
    with figures:
        differences.draw_figures(comparison)
    with tokens:
        lens.draw(comparison)
