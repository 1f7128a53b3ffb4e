"""The sidebar's frame: brand and language, the way around, the model, memory, recent conversations.

The two keys between them are drawn by `keys`; `app` puts the parts in order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from twokeys.types import Conversation
from twokeys.ui import (
    actions,
    changes,
    dates,
    downloads,
    engine_line,
    memory_bar,
    navigation,
    notices,
    state,
    switch,
    widgets,
    words,
)
from twokeys.ui.answering import ModelNow, answering, worker_memory
from twokeys.ui.format import escape, markdown_label
from twokeys.ui.pages import Pages, Screen
from twokeys.ui.style import MARK
from twokeys.ui.words import t
from twokeys.units import memory_text

RECENT = 14
METER_S = 4
MOST_HITS = 20


@dataclass(frozen=True, slots=True)
class RecentRow:
    """One conversation of the list. at: Unix seconds of the last change, or of the message found."""

    conversation_id: str
    title: str
    at: float
    pinned: bool = False


def draw_brand() -> None:
    """Draw the mark, the name and the language switch."""
    name, switch = st.columns([1.55, 1], vertical_alignment="center", gap="xsmall", wrap=False)
    with name:
        widgets.html(f'<div class="tk-brand">{MARK}<b>TwoKeys<span>双钥</span></b></div>')
    with switch:
        state.show_value("language_switch", words.language())
        st.segmented_control(
            t("ui.language"),
            ["zh", "en"],
            format_func={"zh": "中", "en": "EN"}.__getitem__,
            key="language_switch",
            required=True,
            on_change=_language_chosen,
            label_visibility="collapsed",
        )


def draw_navigation(pages: Pages, places: Sequence[Screen], here: str) -> None:
    """Draw the row of places, the present one marked."""
    with st.container(horizontal=True, key="nav", gap="xxsmall", wrap=False):
        for place in places:
            draw_link(pages, place, here=place.name == here, name="nav")


def draw_link(pages: Pages, screen: Screen, *, here: bool, name: str) -> None:
    """Draw the link to a page with its icon; name: begins the keys of a row of such links."""
    key = f"{name}_here_{screen.name}" if here else f"{name}_{screen.name}"
    with st.container(key=key, width="content"):
        st.page_link(
            pages[screen.name],
            label=t(f"ui.page.{screen.name}"),
            icon=f":material/{screen.icon}:",
            query_params=navigation.address(),
        )


def draw_new(pages: Pages) -> str:
    """Draw the button for a new conversation and the search beside it; return what is searched for."""
    new, search = st.columns([1.4, 1], gap="xsmall", wrap=False)
    with new:
        asked = st.button(
            t("sidebar.recent.new"), key="conversation_new", icon=":material/edit_square:", width="stretch"
        )
    if asked:
        started = navigation.start_conversation()
        st.switch_page(pages["chat"], query_params={**navigation.address(), "c": started.id})
    with search:
        return widgets.search_box(t("sidebar.recent.search"), key="recent_search")


def draw_model(pages: Pages) -> None:
    """Draw which model answers, and say plainly when it is not Qwen2.5-7B; a menu offers the others."""
    model = answering(state.services())
    runs_on = engine_line.running_on(state.services()) if model else ""
    with st.container(key="model", horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False):
        widgets.html(_model_line(model, runs_on))
        if model is None:
            with st.container(key="model_choose", width="content"):
                st.page_link(
                    pages["models"], label=t("sidebar.model.choose"), query_params=navigation.address()
                )
            return
        menu = st.popover(
            t("sidebar.model.menu"), key="model_menu", type="tertiary", on_change="rerun", width="content"
        )
    if menu.open:
        with menu:
            _model_menu(model, runs_on, pages)


def _model_menu(now: ModelNow, runs_on: str, pages: Pages) -> None:
    """Draw the models that are here, each taken with one click, and the way to all others."""
    if runs_on:
        widgets.note(runs_on)
    with st.container(key="model_rows", gap=None):
        for row in state.services().models.list():
            if row.installed and not row.broken and row.name != now.name:
                st.button(
                    markdown_label(row.name),
                    key=f"model_use_{row.name}",
                    icon=":material/swap_horiz:",
                    type="tertiary",
                    on_click=downloads.use,
                    args=(row.name,),
                )
    with st.container(key="model_choose"):
        st.page_link(
            pages["models"],
            label=t("sidebar.model.choose"),
            icon=":material/deployed_code:",
            query_params=navigation.address(),
        )


def draw_recent(conversation: Conversation, pages: Pages, query: str) -> None:
    """Draw the recent conversations with their dates, or what a search found; all are one click away."""
    shown = _search(query) if query else _recent(conversation)
    with st.container(key="recent_head", horizontal=True, vertical_alignment="center", wrap=False):
        widgets.section(t("sidebar.recent.title"))
        with st.container(key="nav_conversations", width="content"):
            st.page_link(
                pages["conversations"], label=t("sidebar.recent.all"), query_params=navigation.address()
            )
    with st.container(key="recent"):
        for row in shown:
            _recent_row(row, conversation, pages)
    _dates(shown)
    if not shown:
        widgets.note(t("sidebar.recent.nothing") if query else t("sidebar.recent.empty"))


def _dates(rows: Sequence[RecentRow]) -> None:
    """Write each row's date at its end; one sheet for all, as a row is a button and holds one text only."""
    now = datetime.now()
    rules = "".join(
        f".st-key-open_{row.conversation_id} button::after"
        f"{{content:{json.dumps(dates.short_text(datetime.fromtimestamp(row.at), now), ensure_ascii=False)}}}"
        for row in rows
    )
    widgets.html(f"<style>{rules}</style>")


def draw_memory(conversation: Conversation, pages: Pages) -> None:
    """Draw the machine's memory, force clear with its options, and what the last one gave back."""
    with st.container(key="memory", gap="xsmall"):
        with st.container(
            key="memory_row", horizontal=True, vertical_alignment="center", gap="xxsmall", wrap=False
        ):
            with st.container(key="memory_open", gap=None):
                _memory_meter(pages)
            # a callback, because a run that another event overtakes may never get to this line
            st.button(
                t("sidebar.release.label"),
                key="force_clear",
                help=t("sidebar.release.help"),
                shortcut="Ctrl+Alt+X" if navigation.plain() else None,  # elsewhere the palette listens
                on_click=actions.release,
                args=(conversation,),
            )
            with st.popover(t("sidebar.release.options"), key="release_options", type="tertiary"):
                _release_options(conversation)
        if conversation.settings.clear_after_answer:
            widgets.note(t("sidebar.clear_after.on"))
        released = actions.RELEASED.get()
        if released is not None and released.conversation_id == conversation.id:
            _freed(released)


def _release_options(conversation: Conversation) -> None:
    conversations = state.services().conversations
    switch.draw(
        t("sidebar.release.keep"),
        conversation.history_after_reset,
        key="release_keep",
        note=t("sidebar.release.keep_help"),
        change=lambda wanted: actions.attempt(conversations.set_history_after_reset, conversation.id, wanted),
        in_popover=True,
    )
    switch.draw(
        t("sidebar.clear_after.label"),
        conversation.settings.clear_after_answer,
        key="key_clear_after",
        note=t("sidebar.clear_after.help"),
        change=lambda wanted: changes.save_settings(conversation.id, clear_after_answer=wanted),
        in_popover=True,
    )


def _freed(released: actions.Released) -> None:
    if released.before_bytes:
        line = f"{memory_text(released.before_bytes)} → {memory_text(released.after_bytes)}"
        line += f" · <b>{escape(t('sidebar.release.freed', freed=memory_text(released.freed_bytes)))}</b>"
    else:
        line = escape(t("sidebar.release.nothing"))
    widgets.html(f'<div class="tk-freed" role="status">{line}</div>')


def _language_chosen() -> None:
    words.set_language(str(state.value_of("language_switch")))


def _model_line(model: ModelNow | None, runs_on: str) -> str:
    if model is None:
        return (
            f'<div class="tk-model"><i class="tk-dot off"></i><div><strong>{escape(t("sidebar.model.none"))}'
            f"</strong></div></div>"
        )
    dot = "on" if model.running else "off"
    status = escape(t("sidebar.model.remote") if model.remote else t(f"sidebar.model.{dot}"))
    if not model.main:
        status = f'<span class="tk-warm">{escape(t("sidebar.model.fallback"))}</span> · {status}'
    engine = f" · {escape(runs_on)}" if runs_on else ""
    return (
        f'<div class="tk-model" title="{escape(runs_on)}"><i class="tk-dot {dot}"></i>'
        f"<div><strong>{escape(model.name)}</strong><small>{status}{engine}</small></div></div>"
    )


@st.fragment(run_every=METER_S)
def _memory_meter(pages: Pages) -> None:
    services = state.services()
    available = services.memory.available()
    used = memory_text(max(0, available.total_bytes - available.free_bytes))
    st.page_link(
        pages["memory"],
        label=t("memory.meter.short", used=used, total=memory_text(available.total_bytes)),
        query_params=navigation.address(),
    )
    widgets.html(memory_bar.machine_meter(available, worker_memory(services)))


def _recent(conversation: Conversation) -> list[RecentRow]:
    listed = state.services().conversations.latest(limit=RECENT * 2)
    shown = [c for c in listed if c.head_id is not None or c.pinned or c.id == conversation.id]
    return [RecentRow(c.id, c.title, c.updated_at, pinned=c.pinned) for c in shown[:RECENT]]


def _search(query: str) -> list[RecentRow]:
    rows: dict[str, RecentRow] = {}
    for hit in state.services().conversations.search(query, limit=MOST_HITS):
        rows.setdefault(hit.conversation_id, RecentRow(hit.conversation_id, hit.title, hit.created_at))
    return list(rows.values())


def _recent_row(row: RecentRow, conversation: Conversation, pages: Pages) -> None:
    current = row.conversation_id == conversation.id
    row_key = f"recent_row_{'current_' if current else ''}{row.conversation_id}"
    with st.container(key=row_key, horizontal=True, vertical_alignment="center", gap=None, wrap=False):
        if st.button(
            markdown_label(row.title or t("ui.untitled")),
            key=f"open_{row.conversation_id}",
            icon=":material/keep:" if row.pinned else None,
            width="stretch",
        ):
            navigation.open_conversation(row.conversation_id)
            st.switch_page(pages["chat"], query_params={**navigation.address(), "c": row.conversation_id})
        act = st.menu_button(
            t("ui.more"),
            ["pin", "rename", "delete"],
            icon=":material/more_horiz:",
            key=f"more_{row.conversation_id}",
            type="tertiary",
            format_func=lambda name: t("ui.unpin") if name == "pin" and row.pinned else t(f"ui.{name}"),
        )
    if act == "pin":
        state.services().conversations.pin(row.conversation_id, not row.pinned)
        st.rerun()
    elif act == "rename":
        notices.ask("rename", conversation_id=row.conversation_id)
        st.rerun()
    elif act == "delete":
        actions.delete_conversation(row.conversation_id)
        st.rerun()
