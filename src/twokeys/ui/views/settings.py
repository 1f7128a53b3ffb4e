"""Settings of the app itself, the keyboard, where the data lives, and what this is."""

import streamlit as st

from twokeys import __version__
from twokeys.ui import advice, api_card, bin_card, server_card, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.units import duration_text

IDLE_TIMES_S = (0.0, 300.0, 900.0, 3600.0)


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("settings.title"), t("settings.lead"))
    with st.container(key="card_look"):
        widgets.html(f'<div class="tk-card"><h3>{escape(t("settings.look.title"))}</h3></div>')
        state.show_value("settings_language", words.language())
        st.segmented_control(
            t("ui.language"),
            ["zh", "en"],
            format_func={"zh": "中文", "en": "English"}.__getitem__,
            key="settings_language",
            required=True,
            on_change=lambda: words.set_language(str(state.value_of("settings_language"))),
        )
        widgets.note(t("settings.look.theme"))
        state.show_value("settings_coach", advice.coach_on())
        st.toggle(
            t("advice.coach.switch"),
            key="settings_coach",
            help=t("advice.coach.switch_help"),
            on_change=lambda: advice.switch_coach(bool(state.value_of("settings_coach"))),
        )
    with st.container(key="card_engine"):
        widgets.html(f'<div class="tk-card"><h3>{escape(t("settings.engine.title"))}</h3></div>')
        _idle_timeout()
    server_card.draw()
    with st.container(key="card_keyboard"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("settings.keyboard.title"))}</h3></div>'
            + widgets.facts(
                [
                    ("Enter", t("settings.keyboard.send")),
                    ("Shift + Enter", t("settings.keyboard.line")),
                    ("Esc", t("settings.keyboard.stop")),
                    ("Ctrl / ⌘ + Shift + X", t("settings.keyboard.release")),
                ]
            )
        )
    api_card.draw()
    config = state.services().config
    with st.container(key="card_data"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("settings.data.title"))}</h3>'
            f"<p>{escape(t('settings.data.lead'))}</p></div>"
            + widgets.facts(
                [
                    (t("settings.data.home"), str(config.home)),
                    (t("settings.data.database"), config.database.name),
                    (t("settings.data.models"), str(config.models_dir)),
                ]
            )
        )
    with st.container(key="card_bin"):
        bin_card.draw()
    with st.container(key="card_about"):
        widgets.html(
            f'<div class="tk-card"><h3>TwoKeys 双钥 {escape(__version__)}</h3>'
            f"<p>{escape(t('settings.about.text'))}</p></div>"
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
