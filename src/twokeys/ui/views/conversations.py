"""All conversations: searched, filtered, tagged, archived, exported, deleted, several at once; import."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.types import AT_HAND, Conversation, SearchFilter, SearchHit
from twokeys.ui import (
    actions,
    history_filters,
    history_several,
    import_card,
    navigation,
    notices,
    sharing,
    state,
    widgets,
    words,
)
from twokeys.ui.format import escape, markdown_label
from twokeys.ui.pages import Pages
from twokeys.ui.words import t

PAGE = 30
HITS = 40
_LIMIT = state.TabValue[int]("conversations_limit", PAGE)
_EXPORTED = state.TabValue[str | None]("exported", None)


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("ui.conversations.title"), t("ui.conversations.lead"))
    placeholder = t("ui.conversations.search")
    query = widgets.search_box(
        t("sidebar.recent.search"), key=history_filters.SEARCH, placeholder=placeholder
    )
    wanted = history_filters.draw()
    if query:
        _hits(query, wanted, pages)
    else:
        _all(wanted, pages)
    _exchange()


def _hits(query: str, wanted: SearchFilter, pages: Pages) -> None:
    # what is put away is found too, unless only that is asked for
    wanted = replace(wanted, archived=wanted.archived or None)
    hits = state.services().conversations.search(query, HITS, wanted)
    if not hits:
        widgets.note(t("ui.conversations.nothing"))
    for number, hit in enumerate(hits):
        with st.container(key=f"card_hit_{number}"):
            if st.button(markdown_label(hit.title or t("ui.untitled")), key=f"hit_{number}", type="tertiary"):
                _open_hit(hit, pages)
            widgets.html(f'<p class="tk-note">{_marked(hit.snippet, hit.highlights)}</p>')


def _marked(text: str, places: Sequence[tuple[int, int]]) -> str:
    """Return a snippet as markup with the found places marked."""
    parts, at = [], 0
    for start, end in places:
        parts += [escape(text[at:start]), "<mark>", escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])


def _all(wanted: SearchFilter, pages: Pages) -> None:
    limit = _LIMIT.get()
    listed = state.services().conversations.latest(limit + 1, wanted=wanted)
    shown = [c for c in listed if c.head_id is not None or c.pinned]
    if shown:
        history_several.draw(shown[:limit])
    else:
        nothing = "sidebar.recent.empty" if wanted == AT_HAND else "ui.conversations.none_match"
        widgets.note(t(nothing))
    with st.container(key="history"):
        for conversation in shown[:limit]:
            _row(conversation, pages)
    if len(listed) > limit and st.button(t("ui.show_more"), key="conversations_more", type="tertiary"):
        _LIMIT.set(limit + PAGE)
        st.rerun()


def _row(conversation: Conversation, pages: Pages) -> None:
    with st.container(
        key=f"row_{conversation.id}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
    ):
        if history_several.choosing():
            history_several.draw_box(conversation)
        if st.button(
            markdown_label(conversation.title or t("ui.untitled")),
            key=f"list_open_{conversation.id}",
            type="tertiary",
            icon=":material/keep:" if conversation.pinned else ":material/chat_bubble:",
            width="stretch",
        ):
            _open(conversation.id, pages)
        at = datetime.fromtimestamp(conversation.updated_at)
        tags = "".join(widgets.tag(tag, "plain") for tag in conversation.tags)
        widgets.html(
            f'<span class="tk-under"><span class="tk-row-tags">{tags}</span>'
            f"{escape(at.strftime('%Y-%m-%d %H:%M'))}</span>"
        )
        act = st.menu_button(
            t("ui.more"),
            ["pin", "rename", "tags", "archive", "export", "delete"],
            icon=":material/more_horiz:",
            key=f"list_more_{conversation.id}",
            type="tertiary",
            format_func=lambda name: _act_label(name, conversation),
        )
    if act == "pin":
        state.services().conversations.pin(conversation.id, not conversation.pinned)
        st.rerun()
    elif act in ("rename", "tags"):
        notices.ask(act, conversation_id=conversation.id)
    elif act == "archive":
        actions.archive_conversation(conversation)
        st.rerun()
    elif act == "export":
        _EXPORTED.set(conversation.id)
    elif act == "delete":
        actions.delete_conversation(conversation.id)
        st.rerun()
    if _EXPORTED.get() == conversation.id:
        _export_row(conversation)


def _act_label(name: str, conversation: Conversation) -> str:
    if name == "pin" and conversation.pinned:
        return t("ui.unpin")
    if name == "archive" and conversation.archived:
        return t("ui.unarchive")
    return t(f"ui.{name}")


def _export_row(conversation: Conversation) -> None:
    with st.container(horizontal=True, key=f"export_{conversation.id}", gap="small"):
        sharing.draw_downloads(conversation)


def _exchange() -> None:
    services, language = state.services(), words.language()
    left, right = st.columns(2, gap="medium")
    with left, st.container(key="card_export", height="stretch"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("ui.export_all.title"))}</h3>'
            f"<p>{escape(t('ui.export_all.lead'))}</p></div>"
        )
        with st.container(horizontal=True, gap="small", key="export_all_tools"):
            st.download_button(
                t("ui.export_all.button"),
                lambda: services.exchange.export_json(),
                file_name="twokeys-conversations.json",
                mime="application/json",
                icon=":material/download:",
                key="export_all",
                on_click="ignore",
            )
            st.download_button(
                t("ui.export_all.markdown"),
                lambda: services.exchange.export_markdown_zip(language),
                file_name="twokeys-conversations.zip",
                mime="application/zip",
                icon=":material/download:",
                key="export_all_markdown",
                on_click="ignore",
            )
    with right, st.container(key="card_import", height="stretch"):
        import_card.draw()


def _open_hit(hit: SearchHit, pages: Pages) -> None:
    if hit.message_id is None:
        navigation.open_conversation(hit.conversation_id)
    else:
        terms = tuple(dict.fromkeys(hit.snippet[start:end] for start, end in hit.highlights))
        try:
            navigation.open_message(hit.conversation_id, hit.message_id, terms)
        except TwoKeysError as error:  # it was deleted meanwhile
            notices.tell_error(error)
    st.switch_page(pages["chat"], query_params={**navigation.address(), "c": hit.conversation_id})


def _open(conversation_id: str, pages: Pages) -> None:
    navigation.open_conversation(conversation_id)
    st.switch_page(pages["chat"], query_params={**navigation.address(), "c": conversation_id})
