"""Settings of the app itself, the keyboard, where the data lives, and what this is."""

import streamlit as st

from twokeys import __version__
from twokeys.ui import (
    advice,
    bin_card,
    looks,
    navigation,
    server_card,
    shortcuts,
    speech,
    state,
    switch,
    widgets,
    words,
)
from twokeys.ui.format import escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.units import duration_text
from twokeys.web.access import LOGOUT_PATH
from twokeys.web.base_path import base
from twokeys.web.runtime import has_login

IDLE_TIMES_S = (0.0, 300.0, 900.0, 3600.0)


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("settings.title"), t("settings.lead"))
    with st.container(key="card_look"):
        _look()
    with st.container(key="card_speech"):
        _card(t("settings.speech.title"))
        speech.draw_switches()
    with st.container(key="card_engine"):
        _card(t("settings.engine.title"))
        _idle_timeout()
        services = state.services()
        switch.draw(
            t("settings.engine.early"),
            services.starts_early(),
            key="settings_early",
            note=t("settings.engine.early_help"),
            change=services.set_starts_early,
        )
    server_card.draw()
    with st.container(key="card_keyboard"):
        _keyboard()
    with st.container(key="card_api"):
        _card(t("api.page.title"), t("api.page.in_settings"))
        st.page_link(pages["api"], label=t("api.page.open"), query_params=navigation.address())
    with st.container(key="card_data"):
        _data()
    if has_login():
        with st.container(key="card_login"):
            _login()
    with st.container(key="card_bin"):
        bin_card.draw()
    with st.container(key="card_about"):
        _card(f"TwoKeys 双钥 {__version__}", t("settings.about.text"))


def _card(title: str, text: str = "", more: str = "") -> None:
    """Draw a card's title and its first sentence, then `more`, which is markup."""
    lead = f"<p>{escape(text)}</p>" if text else ""
    widgets.html(f'<div class="tk-card"><h3>{escape(title)}</h3>{lead}</div>{more}')


def _look() -> None:
    _card(t("settings.look.title"))
    state.show_value("settings_language", words.language())
    st.segmented_control(
        t("ui.language"),
        ["zh", "en"],
        format_func={"zh": "中文", "en": "English"}.__getitem__,
        key="settings_language",
        required=True,
        on_change=lambda: words.set_language(str(state.value_of("settings_language"))),
    )
    looks.draw("settings")
    switch.draw(
        t("advice.coach.switch"),
        advice.coach_on(),
        key="settings_coach",
        note=t("advice.coach.switch_help"),
        change=advice.switch_coach,
    )


def _keyboard() -> None:
    keys = [(shortcuts.plain_keys(shortcut.keys), shortcut.text) for shortcut in shortcuts.sheet()]
    _card(t("settings.keyboard.title"), more=widgets.facts(keys))


def _data() -> None:
    config = state.services().config
    places = [
        (t("settings.data.home"), str(config.home)),
        (t("settings.data.database"), config.database.name),
        (t("settings.data.models"), str(config.models_dir)),
    ]
    _card(t("settings.data.title"), t("settings.data.lead"), widgets.facts(places))


def _login() -> None:
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("settings.login.title"))}</h3>'
        f"<p>{escape(t('settings.login.text'))}</p>"
        f'<p><a href="{base()}{LOGOUT_PATH}" target="_self">'
        f"{escape(t('access.logout.leave'))}</a></p></div>"
    )


def _idle_timeout() -> None:
    """After how long without a request the engine's memory is given back."""
    now = state.services().memory.idle_timeout_s()
    state.show_value("settings_idle", now)
    st.segmented_control(
        t("settings.engine.idle"),
        sorted({*IDLE_TIMES_S, now}),
        format_func=lambda s: duration_text(s, words.language()) if s else t("settings.engine.never"),
        key="settings_idle",
        required=True,
        help=t("settings.engine.idle_help"),
        on_change=lambda: state.services().set_idle_timeout(float(state.value_of("settings_idle"))),
    )
