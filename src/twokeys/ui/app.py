"""The entry script: page setup, navigation, and the order of what is drawn.

`web.server` hands this file to Streamlit by its path; it runs once per interaction and tab.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from twokeys.errors import TwoKeysError
from twokeys.ui import (
    actions,
    dialogs,
    looks,
    manners,
    navigation,
    notices,
    own_menu,
    palette,
    state,
    widgets,
)
from twokeys.ui.pages import Pages, Screen
from twokeys.ui.screens import SCREENS
from twokeys.ui.state import TabValue
from twokeys.ui.style import style_sheet
from twokeys.ui.views import keys, sidebar
from twokeys.ui.words import t
from twokeys.web.streamlit_seams import close_containers

logger = logging.getLogger(__name__)

_DRAWN_ANEW = TabValue[bool]("drawn_anew", False)


def main() -> None:
    """Draw the page once."""
    st.set_page_config(
        page_title="TwoKeys 双钥",
        layout="wide",
        initial_sidebar_state="auto",
        menu_items={"About": t("settings.about.text")},  # on the plain page; elsewhere there is our own menu
    )
    st.html(style_sheet(t("ui.choose_file"), t("chat.attach.choose")) + looks.sheet())
    # they lie outside the part of the page that tells its mode; elsewhere a component sees to it
    if navigation.plain() and st.context.theme.type == "dark":
        st.html(
            '<style>:is([data-testid="stDialog"],[data-testid="stPopoverBody"]){color-scheme:dark}</style>'
        )
    state.take_redraw()  # the whole page is drawn in this run
    pages = _pages()
    page = st.navigation(list(pages.values()), position="hidden")
    _follow(pages)
    here = next(screen for screen in SCREENS if pages[screen.name] == page)
    try:
        navigation.conversation()  # says so when the one in the address is gone
        own_menu.draw(pages)
        _draw_notices(here)
        _draw_tabs(pages, here)
        page.run()  # before the sidebar: the browser can show the message box while the rest still comes
        _draw_sidebar(pages, here)
        dialogs.draw_open()
        manners.draw(here.name)
        palette.draw(pages)
    except TwoKeysError as error:
        logger.exception("the page could not be drawn")
        widgets.error(error)
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
    widgets.error(error)


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


def _draw_sidebar(pages: Pages, here: Screen) -> None:
    conversation = navigation.conversation()
    with st.sidebar:
        sidebar.draw_brand()
        sidebar.draw_navigation(pages, [screen for screen in SCREENS if screen.is_place], here.place)
        query = sidebar.draw_new(pages)
        sidebar.draw_model(pages)
        if here.name == "chat":  # the keys stand only where they act
            keys.draw(conversation)
        sidebar.draw_memory(conversation, pages)
        sidebar.draw_recent(conversation, pages, query)


def _draw_tabs(pages: Pages, here: Screen) -> None:
    """Draw the way between the pages of one place; a conversation's own page has none above it."""
    beside = [screen for screen in SCREENS if screen.place == here.place]
    if here.place != "chat" and len(beside) > 1:
        with st.container(horizontal=True, key="tabs", gap="xxsmall"):
            for screen in beside:
                sidebar.draw_link(pages, screen, here=screen == here, name="tab")


def _draw_notices(here: Screen) -> None:
    items = notices.take()
    for item in items:
        if item.kind == "done":
            st.toast(item.text, icon=":material/check:")
    place = f"{here.name} {navigation.conversation().id}"
    if errors := tuple(item for item in items if item.kind == "error"):
        notices.keep_errors(errors, place)
    _draw_errors(notices.standing_errors(place))
    _draw_undo()


def _draw_errors(errors: Sequence[notices.Notice]) -> None:
    """Draw what failed at the lower edge, where the eye is however long the page."""
    if not errors:
        return
    with (
        st.bottom,
        st.container(key="errors", horizontal=True, vertical_alignment="top", gap="xsmall", wrap=False),
    ):
        with st.container(gap="xsmall"):
            for error in errors:
                widgets.error_card(error.text, error.hint)
        widgets.dismiss("errors_dismiss", notices.forget_errors)


def _draw_undo() -> None:
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
        widgets.dismiss("undo_dismiss", notices.drop_undo)


main()
