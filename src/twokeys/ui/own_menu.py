"""The menu at the top right, in place of the framework's: looks, shortcuts, settings, what this is."""

import streamlit as st

from twokeys import __version__
from twokeys.ui import looks, navigation, widgets
from twokeys.ui.pages import Pages
from twokeys.ui.words import t


def draw(pages: Pages) -> None:
    """Draw the menu. Not on the plain page, which has no component to put a choice into force."""
    if navigation.plain():
        return
    with (
        st.container(key="own_menu", width="content"),
        st.popover(t("ui.menu"), icon=":material/more_vert:", key="own_menu_open", type="tertiary"),
    ):
        looks.draw("menu")
        with st.container(key="menu_rows", gap=None):
            # the palette hears of a press (frontend/src/palette.ts); without a keyboard this is the way to it
            st.button(t("palette.title"), key="palette_open", icon=":material/search:", type="tertiary")
            st.button(
                t("settings.keyboard.title"),
                key="menu_shortcuts",
                icon=":material/keyboard:",
                type="tertiary",
            )
            st.page_link(
                pages["settings"],
                label=t("ui.menu_settings"),
                icon=":material/settings:",
                query_params=navigation.address(),
            )
        widgets.note(f"TwoKeys 双钥 {__version__} · {t('settings.about.text')}")
