"""The sidebar's frame: brand and language, the way around, the model, recent conversations, memory.

The two keys between them are drawn by `keys`; `app` puts the parts in order.
"""

import streamlit as st

from twokeys.types import Conversation
from twokeys.ui import actions, memory_bar, navigation, notices, state, widgets, words
from twokeys.ui.answering import ModelNow, answering, worker_memory
from twokeys.ui.format import escape, markdown_label
from twokeys.ui.pages import Pages
from twokeys.ui.style import MARK
from twokeys.ui.words import t
from twokeys.units import memory_text

RECENT = 8
METER_S = 4
FOUND = 20


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


def draw_navigation(pages: Pages, here: object) -> None:
    """Draw the links to the pages, the present one marked, and the button for a new conversation."""
    query = navigation.address()
    with st.container(horizontal=True, key="nav", gap="xxsmall", wrap=True):
        for name, page in pages.items():
            with st.container(key="nav_here" if page == here else f"nav_{name}", width="content"):
                st.page_link(page, label=t(f"ui.page.{name}"), query_params=query)
    if st.button(
        t("sidebar.recent.new"), key="conversation_new", icon=":material/edit_square:", width="stretch"
    ):
        started = navigation.start_conversation()
        st.switch_page(pages["chat"], query_params={**navigation.address(), "c": started.id})


def draw_model(pages: Pages) -> None:
    """Draw which model answers, and say plainly when it is not Qwen2.5-7B."""
    model = answering(state.services())
    widgets.html(_model_line(model))
    if model is None or not model.main:
        with st.container(key="model_choose"):
            st.page_link(pages["models"], label=t("sidebar.model.choose"), query_params=navigation.address())


def draw_recent(conversation: Conversation, pages: Pages) -> None:
    """Draw search and the recent conversations."""
    widgets.section(t("sidebar.recent.title"))
    query = widgets.search_box(t("sidebar.recent.search"), key="recent_search")
    shown = _found(query) if query else _recent(conversation)
    with st.container(key="recent"):
        for found in shown:
            _recent_row(found, conversation, pages)
    if not shown:
        widgets.note(t("sidebar.recent.nothing") if query else t("sidebar.recent.empty"))


def draw_memory(conversation: Conversation, pages: Pages) -> None:
    """Draw force clear, what the last one gave back, and the worker's memory."""
    with st.container(key="memory"):
        _memory_meter()
        with st.container(key="memory_open"):
            st.page_link(pages["memory"], label=t("memory.meter.open"), query_params=navigation.address())
        # a callback, because a run that another event overtakes may never get to this line
        st.button(
            t("sidebar.release.label"),
            key="force_clear",
            help=t("sidebar.release.help"),
            shortcut="Ctrl+Shift+X",
            width="stretch",
            on_click=actions.release,
            args=(conversation,),
        )
        state.show_value("release_keep", conversation.history_after_reset)
        st.toggle(
            t("sidebar.release.keep"),
            key="release_keep",
            help=t("sidebar.release.keep_help"),
            on_change=_release_keep_changed,
            args=(conversation.id,),
        )
        released = actions.RELEASED.get()
        if released is not None and released.conversation_id == conversation.id:
            _freed(released)


def _freed(released: actions.Released) -> None:
    if released.before_bytes:
        line = f"{memory_text(released.before_bytes)} → {memory_text(released.after_bytes)}"
        line += f" · <b>{escape(t('sidebar.release.freed', freed=memory_text(released.freed_bytes)))}</b>"
    else:
        line = escape(t("sidebar.release.nothing"))
    widgets.html(f'<div class="tk-freed" role="status">{line}</div>')


def _language_chosen() -> None:
    words.set_language(str(state.value_of("language_switch")))


def _release_keep_changed(conversation_id: str) -> None:
    keep = bool(state.value_of("release_keep"))
    actions.attempt(state.services().conversations.set_history_after_reset, conversation_id, keep)


def _model_line(model: ModelNow | None) -> str:
    if model is None:
        return (
            f'<div class="tk-model"><i class="tk-dot off"></i><div><strong>{escape(t("sidebar.model.none"))}'
            f"</strong></div></div>"
        )
    dot = "on" if model.running else "off"
    status = escape(t("sidebar.model.remote") if model.remote else t(f"sidebar.model.{dot}"))
    if not model.main:
        status = f'<span class="tk-warm">{escape(t("sidebar.model.fallback"))}</span> · {status}'
    return (
        f'<div class="tk-model"><i class="tk-dot {dot}"></i><div><strong>{escape(model.name)}</strong>'
        f"<small>{status}</small></div></div>"
    )


@st.fragment(run_every=METER_S)
def _memory_meter() -> None:
    services = state.services()
    used = worker_memory(services)
    widgets.html(memory_bar.machine_meter(services.memory.available(), used))


def _recent(conversation: Conversation) -> list[tuple[str, str, bool]]:
    listed = state.services().conversations.latest(limit=RECENT * 2)
    kept = [c for c in listed if c.head_id is not None or c.pinned or c.id == conversation.id]
    return [(c.id, c.title, c.pinned) for c in kept[:RECENT]]


def _found(query: str) -> list[tuple[str, str, bool]]:
    rows: dict[str, tuple[str, str, bool]] = {}
    for hit in state.services().conversations.search(query.strip(), limit=FOUND):
        rows.setdefault(hit.conversation_id, (hit.conversation_id, hit.title, False))
    return list(rows.values())


def _recent_row(row: tuple[str, str, bool], conversation: Conversation, pages: Pages) -> None:
    conversation_id, title, pinned = row
    current = conversation_id == conversation.id
    row_key = f"recent_row_{'current_' if current else ''}{conversation_id}"
    with st.container(key=row_key, horizontal=True, vertical_alignment="center", gap=None, wrap=False):
        if st.button(
            markdown_label(title or t("ui.untitled")),
            key=f"open_{conversation_id}",
            icon=":material/keep:" if pinned else None,
            width="stretch",
        ):
            navigation.open_conversation(conversation_id)
            st.switch_page(pages["chat"], query_params={**navigation.address(), "c": conversation_id})
        act = st.menu_button(
            t("ui.more"),
            ["pin", "rename", "delete"],
            icon=":material/more_horiz:",
            key=f"more_{conversation_id}",
            type="tertiary",
            format_func=lambda name: t("ui.unpin") if name == "pin" and pinned else t(f"ui.{name}"),
        )
    if act == "pin":
        state.services().conversations.pin(conversation_id, not pinned)
        st.rerun()
    elif act == "rename":
        notices.ask("rename", conversation_id=conversation_id)
        st.rerun()
    elif act == "delete":
        actions.delete_conversation(conversation_id)
        st.rerun()
