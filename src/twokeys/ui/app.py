"""The entry script: page setup, navigation, and the order of what is drawn.

`web.server` hands this file to Streamlit by its path; it runs once per interaction and tab.
"""

import logging
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from twokeys.errors import TwoKeysError
from twokeys.ui import actions, dialogs, guard_levels, manners, navigation, notices, widgets, words
from twokeys.ui.pages import Pages, Screen
from twokeys.ui.screens import SCREENS
from twokeys.ui.state import TabValue
from twokeys.ui.style import favicon, style_sheet
from twokeys.ui.views import keys, sidebar
from twokeys.ui.words import t
from twokeys.web.streamlit_seams import close_containers

logger = logging.getLogger(__name__)

_DRAWN_ANEW = TabValue[bool]("drawn_anew", False)


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
    page = st.navigation(list(pages.values()), position="hidden")
    _follow(pages)
    try:
        _draw_sidebar(pages, page)
        _draw_notices()
        page.run()
        dialogs.draw_open()
        manners.draw(next(name for name, known in pages.items() if known == page))
    except TwoKeysError as error:
        logger.exception("the page could not be drawn")
        widgets.error_card(error.message(words.language()), error.hint(words.language()))
    except StreamlitAPIException:
        logger.exception("the page was drawn in a way Streamlit refuses")
        _draw_anew()
    else:
        _DRAWN_ANEW.drop()


def _draw_anew() -> None:
    """Draw the page once more from the beginning; if that fails too, say so where the page would be."""
    if not _DRAWN_ANEW.get():
        _DRAWN_ANEW.set(True)
        st.rerun()
    _DRAWN_ANEW.drop()
    close_containers()
    error = TwoKeysError()
    widgets.error_card(error.message(words.language()), error.hint(words.language()))


def _follow(pages: Pages) -> None:
    """Go to the page that a callback asked for."""
    wanted = navigation.take_destination()
    if wanted is not None:
        st.switch_page(pages[wanted.page], query_params={**navigation.address(), **wanted.query})


def _pages() -> Pages:
    """Return Streamlit's page of each screen; they know each other by name, so all are made first."""
    pages: dict[str, Any] = {}

    def drawn_by(screen: Screen) -> Callable[[], None]:
        return lambda: screen.draw(pages)

    for number, screen in enumerate(SCREENS):
        pages[screen.name] = st.Page(
            drawn_by(screen), title=t(f"ui.page.{screen.name}"), url_path=screen.name, default=number == 0
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
    with (
        st.bottom,
        st.container(
            key="undo_bar", horizontal=True, vertical_alignment="center", horizontal_alignment="left"
        ),
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
