"""The bin on the settings page: what is kept of deleted things, for how long, and emptying it."""

from datetime import datetime

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui import notices, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.words import t


def draw() -> None:
    """Draw the card."""
    recycle_bin = state.services().repository.bin
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("settings.bin.title"))}</h3>'
        f"<p>{escape(t('settings.bin.lead'))}</p></div>"
    )
    state.show_value("settings_bin_days", recycle_bin.days)
    st.segmented_control(
        t("settings.bin.days"),
        recycle_bin.choices,
        format_func=lambda days: t("settings.bin.for_days", days=days) if days else t("settings.bin.at_once"),
        key="settings_bin_days",
        required=True,
        help=t("settings.bin.days_help"),
        on_change=_keep,
    )
    widgets.note(_contents())
    if not recycle_bin.contents().is_empty:
        st.button(t("settings.bin.empty"), key="settings_bin_empty", icon=":material/delete_forever:",
                  on_click=_empty)  # fmt: skip
    widgets.note(t("settings.bin.not_covered", folder=state.services().config.backups_dir))


def _keep() -> None:
    state.services().repository.bin.keep_days(int(state.value_of("settings_bin_days")))


def _contents() -> str:
    """Return what lies in the bin in a sentence."""
    contents = state.services().repository.bin.contents()
    if contents.oldest_at is None:
        return t("settings.bin.nothing")
    counts = {
        "conversations": contents.conversations,
        "comparisons": contents.comparisons,
        "texts": contents.texts,
        "studies": contents.studies,
        "messages": contents.messages,
    }
    things = [t(f"settings.bin.{name}", count=count) for name, count in counts.items() if count]
    since = datetime.fromtimestamp(contents.oldest_at).strftime("%Y-%m-%d %H:%M")
    return t("settings.bin.holds", things=t("settings.bin.and").join(things), since=since)


def _empty() -> None:
    """Remove everything in the bin for good; nothing of it can be brought back."""
    notices.drop_undo()
    try:
        removed = state.services().repository.bin.purge()
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    key = "settings.bin.emptied" if removed.complete else "settings.bin.emptied_later"
    notices.tell(notices.Notice(t(key)))
