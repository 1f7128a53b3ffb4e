"""The list of stored comparisons: search, reopen one, rename it, delete it."""

from datetime import datetime

import streamlit as st

from twokeys.core.compare.comparison import TITLE_LENGTH, ComparisonRow
from twokeys.errors import TwoKeysError
from twokeys.ui import navigation, notices, state, widgets
from twokeys.ui.compare.board import delete
from twokeys.ui.compare.tasks import task_name
from twokeys.ui.format import escape, markdown_label
from twokeys.ui.words import t

PAGE = 30
_LIMIT = state.TabValue[int]("compare_limit", PAGE)


def draw() -> None:
    """Draw the comparisons, the latest first."""
    limit = _LIMIT.get()
    query = widgets.search_box(t("compare.shelf.search"), key="compare_search")
    rows = list(state.services().compare.stored.list(limit=limit + 1, query=query))
    if not rows:
        widgets.note(t("compare.shelf.nothing" if query else "compare.shelf.empty"))
    with st.container(key="history"):
        for row in rows[:limit]:
            _row(row)
    if len(rows) > limit and st.button(t("ui.show_more"), key="compare_more", type="tertiary"):
        _LIMIT.set(limit + PAGE)
        st.rerun()


def _row(row: ComparisonRow) -> None:
    with st.container(
        key=f"row_cmp_{row.id}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
    ):
        if st.button(
            markdown_label(row.title or t("ui.untitled")),
            key=f"list_open_cmp_{row.id}",
            type="tertiary",
            icon=":material/view_column:",
            width="stretch",
        ):
            navigation.open_comparison(row.id)
            st.rerun()
        facts = [" / ".join(row.names)]
        if row.task_type is not None:
            facts.append(task_name(row.task_type))
        facts.append(datetime.fromtimestamp(row.updated_at).strftime("%m-%d %H:%M"))
        widgets.html(f'<span class="tk-under">{escape(" · ".join(facts))}</span>')
        with st.popover(
            "", icon=":material/edit:", type="tertiary", key=f"list_rename_cmp_{row.id}", help=t("ui.rename")
        ):
            st.text_input(
                t("chat.rename.label"),
                value=row.title,
                max_chars=TITLE_LENGTH,
                key=f"list_title_cmp_{row.id}",
                on_change=_renamed,
                args=(row.id,),
            )
        if st.button(
            "",
            key=f"list_delete_cmp_{row.id}",
            icon=":material/delete:",
            type="tertiary",
            help=t("ui.delete"),
        ):
            delete(row.id, row.title)
            st.rerun()


def _renamed(comparison_id: str) -> None:
    title = str(state.value_of(f"list_title_cmp_{comparison_id}") or "")
    try:
        state.services().compare.stored.rename(comparison_id, title)
    except TwoKeysError as error:
        notices.tell_error(error)
