"""The entry script: page setup, navigation, and the order of what is drawn.

`web.server` hands this file to Streamlit by its path; it runs once per interaction and tab.
"""

import logging

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui import actions, dialogs, guard_levels, navigation, notices, widgets, words
from twokeys.ui.pages import Pages
from twokeys.ui.style import favicon, style_sheet
from twokeys.ui.views import (
    chat,
    compare,
    conversations,
    handbook,
    keys,
    lab,
    memory,
    models,
    settings,
    sidebar,
    writing,
)
from twokeys.ui.words import t

logger = logging.getLogger(__name__)


def main() -> None:
    """Draw the page once."""
    st.set_page_config(
        page_title="TwoKeys 双钥",
        page_icon=favicon(),
        layout="wide",
        initial_sidebar_state="auto",
        menu_items={"About": t("settings.about.text")},
    )
    st.html(style_sheet(t("ui.choose_file")))
    if st.context.theme.type == "dark":  # they lie outside the part of the page that tells its mode
        st.html(
            '<style>:is([data-testid="stDialog"],[data-testid="stPopoverBody"]){color-scheme:dark}</style>'
        )
    pages = _pages()
    page = st.navigation(
        [
            pages.chat,
            pages.compare,
            pages.writing,
            pages.lab,
            pages.handbook,
            pages.conversations,
            pages.models,
            pages.memory,
            pages.settings,
        ],
        position="hidden",
    )
    _follow(pages)
    try:
        _draw_sidebar(pages, page)
        _draw_notices()
        page.run()
        dialogs.draw_open()
    except TwoKeysError as error:
        logger.exception("the page could not be drawn")
        widgets.error_card(error.message(words.language()), error.hint(words.language()))


def _follow(pages: Pages) -> None:
    """Go to the page that a callback asked for."""
    wanted = navigation.take_destination()
    if wanted is not None:
        st.switch_page(getattr(pages, wanted.page), query_params={**navigation.address(), **wanted.query})


def _pages() -> Pages:
    def draw_chat() -> None:
        chat.draw(pages)

    def draw_compare() -> None:
        compare.draw(pages)

    def draw_writing() -> None:
        writing.draw(pages)

    def draw_lab() -> None:
        lab.draw(pages)

    def draw_handbook() -> None:
        handbook.draw(pages)

    def draw_conversations() -> None:
        conversations.draw(pages)

    def draw_models() -> None:
        models.draw(pages)

    def draw_memory() -> None:
        memory.draw()

    def draw_settings() -> None:
        settings.draw()

    pages = Pages(
        chat=st.Page(draw_chat, title=t("ui.page.chat"), default=True),
        compare=st.Page(draw_compare, title=t("ui.page.compare"), url_path="compare"),
        writing=st.Page(draw_writing, title=t("ui.page.writing"), url_path="writing"),
        lab=st.Page(draw_lab, title=t("ui.page.lab"), url_path="lab"),
        handbook=st.Page(draw_handbook, title=t("ui.page.handbook"), url_path="handbook"),
        conversations=st.Page(draw_conversations, title=t("ui.page.conversations"), url_path="conversations"),
        models=st.Page(draw_models, title=t("ui.page.models"), url_path="models"),
        memory=st.Page(draw_memory, title=t("ui.page.memory"), url_path="memory"),
        settings=st.Page(draw_settings, title=t("ui.page.settings"), url_path="settings"),
    )
    return pages


def _draw_sidebar(pages: Pages, here: object) -> None:
    conversation = navigation.conversation()
    with st.sidebar:
        sidebar.draw_brand()
        sidebar.draw_navigation(pages, here)
        sidebar.draw_model(pages)
        keys.draw(conversation)
        guard_levels.draw(conversation)
        sidebar.draw_memory(conversation, pages)
        sidebar.draw_recent(conversation, pages)


def _draw_notices() -> None:
    for item in notices.take():
        if item.kind == "error":
            widgets.error_card(item.text, item.hint)
        else:
            st.toast(item.text, icon=":material/check:")
    undo = notices.undo_on_offer()
    if undo is None:
        return
    with st.container(
        key="undo_bar", horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.text(undo.text)
        if st.button(t("ui.undo"), key="undo", icon=":material/undo:", type="tertiary"):
            notices.drop_undo()
            actions.attempt(undo.act)
            st.rerun()
        if st.button("", key="undo_dismiss", icon=":material/close:", type="tertiary", help=t("ui.dismiss")):
            notices.drop_undo()
            st.rerun()


main()
