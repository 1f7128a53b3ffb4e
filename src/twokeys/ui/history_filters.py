"""The filters of the history: tag, time, model, put away or not; and filters saved under a name."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import streamlit as st

from twokeys.types import SearchFilter
from twokeys.ui import notices, state
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t

SAVED_SETTING = "ui.history.filters"
LONGEST_NAME = 40
_POPOVER, _NAME = "filter_save", "filter_name"
SEARCH = "conversations_search"
KEYS: Mapping[str, str] = {
    "query": SEARCH,
    "tag": "search_tag",
    "days": "search_days",
    "model": "search_model",
    "archived": "search_archived",
}
"""The widget of each value of a saved filter."""


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A filter by its name. days: no older than that; archived: None for conversations at hand only."""

    name: str
    query: str = ""
    tag: str | None = None
    days: int | None = None
    model: str | None = None
    archived: bool | None = None


def draw() -> SearchFilter:
    """Draw the filters, and return what they let through."""
    services = state.services()
    tags = services.conversations.tags()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="search_filters"):
        tag = _choice("tag", [None, *tags], lambda tag: tag or t("ui.conversations.any_tag"))
        days = _choice("days", [None, 7, 30, 365], _days)
        model = _choice(
            "model",
            [None, *services.repository.models_used()],
            lambda name: name or t("ui.conversations.any_model"),
        )
        archived = _choice("archived", [None, True], _where)
        _saving()
    _saved()
    return SearchFilter(
        since=time.time() - days * 86400 if days else None, model=model, tag=tag, archived=bool(archived)
    )


def _choice(name: str, options: Sequence[Any], words: Any) -> Any:
    key = KEYS[name]
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = None  # what a saved filter names may be gone
    return st.selectbox(t(f"ui.conversations.{name}"), options, format_func=words, key=key)


def _days(days: int | None) -> str:
    return t("ui.conversations.last_days", days=days) if days else t("ui.conversations.ever")


def _where(archived: bool | None) -> str:
    return t("ui.conversations.put_away" if archived else "ui.conversations.at_hand")


def _saving() -> None:
    """Draw the button that saves what is set now under a name."""
    with (
        st.popover(
            t("ui.conversations.save_filter"),
            icon=":material/bookmark_add:",
            key=_POPOVER,
            on_change="rerun",  # so that it can be closed from here
        ),
        st.form("filter_form", border=False, clear_on_submit=True),
    ):
        st.text_input(t("ui.conversations.filter_name"), key=_NAME, max_chars=LONGEST_NAME)
        st.form_submit_button(t("ui.save"), key="filter_save_button", on_click=_save)


def _save() -> None:
    """Store what is set now under the name that was typed, and close the popover."""
    name = str(state.value_of(_NAME) or "").strip()
    if not name:
        return
    now = {field: state.value_of(key) for field, key in KEYS.items()}
    made = SavedFilter(name, **{**now, "query": str(now["query"] or "").strip()})
    _store([*(saved for saved in stored() if saved.name != made.name), made])
    st.session_state[_POPOVER] = False


def _saved() -> None:
    """Draw the saved filters, each applied with one click."""
    saved = stored()
    if not saved:
        return
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="saved_filters"):
        for number, each in enumerate(saved):
            with st.container(horizontal=True, gap=None, width="content", key=f"saved_filter_{number}"):
                st.button(
                    markdown_label(each.name),
                    key=f"filter_apply_{number}",
                    icon=":material/bookmark:",
                    on_click=_apply,
                    args=(each,),
                )
                st.button(
                    "",
                    key=f"filter_drop_{number}",
                    icon=":material/close:",
                    type="tertiary",
                    help=t("ui.conversations.drop_filter", name=each.name),
                    on_click=_drop,
                    args=(each,),
                )


def stored() -> list[SavedFilter]:
    """Return the saved filters; what cannot be read is left out."""
    known = {field.name for field in fields(SavedFilter)}
    rows = state.services().repository.get_setting(SAVED_SETTING) or []
    return [
        SavedFilter(**{name: value for name, value in row.items() if name in known})
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("name"), str)
    ]


def _store(saved: Sequence[SavedFilter]) -> None:
    state.services().repository.set_setting(SAVED_SETTING, [asdict(each) for each in saved])


def _apply(wanted: SavedFilter) -> None:
    for field, key in KEYS.items():
        st.session_state[key] = getattr(wanted, field)


def _drop(dropped: SavedFilter) -> None:
    before = stored()
    _store([saved for saved in before if saved.name != dropped.name])
    notices.offer_undo(t("ui.conversations.filter_dropped", name=dropped.name), lambda: _store(before))
