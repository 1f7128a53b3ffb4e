"""The server that answers, on the settings page: its key and how many answers it is asked for at once.

Without a server there is no card. A key is never shown again, only that there is one.
"""

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t


def draw() -> None:
    """Draw the card of each server that answers now."""
    servers = state.services().servers()
    if not servers:
        return
    with st.container(key="card_server"):
        widgets.html(
            f'<div class="tk-card"><h3>{escape(t("settings.server.title"))}</h3>'
            f"<p>{escape(t('settings.server.lead'))}</p></div>"
        )
        for number, server in enumerate(servers):
            with st.form(f"server_{number}", border=False):
                key = st.text_input(
                    t("settings.server.key", url=server.url),
                    type="password",
                    key=f"server_key_{number}",
                    placeholder=t("settings.server.kept" if server.has_key else "settings.server.no_key"),
                    help=t("settings.server.key_help"),
                    autocomplete="off",
                )
                slots = st.number_input(
                    t("settings.server.slots"),
                    min_value=0,
                    max_value=64,
                    value=server.slots or 0,
                    key=f"server_slots_{number}",
                    help=t("settings.server.slots_help"),
                )
                forget = server.has_key and st.checkbox(
                    t("settings.server.forget"), key=f"server_forget_{number}"
                )
                if st.form_submit_button(t("settings.server.save"), key=f"server_save_{number}"):
                    _keep(server.url, "" if forget else (key or None), int(slots))


def _keep(url: str, key: str | None, slots: int) -> None:
    try:
        state.services().set_server_access(url, key=key, slots=slots or None)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    st.rerun()
