"""A person's own presets: used, saved from what is set now, renamed, deleted, taken along as a file."""

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.types import Conversation, Preset, Settings
from twokeys.ui import changes, notices, saved_presets, state, widgets
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t

_EDITED = state.TabValue[str | None]("preset_edited", None)
_UPLOADED = state.TabValue[str | None]("preset_upload", None)


def draw(conversation: Conversation) -> None:
    """Draw the presets with what can be done with each, and the ways to get more of them."""
    presets = state.services().presets.of_kind("own")
    for preset in presets:
        _own_preset(preset, conversation)
    if not presets:
        widgets.note(t("sidebar.presets.empty"))
    with st.form("preset_save", border=False, clear_on_submit=True):
        st.text_input(
            t("sidebar.presets.name"), key="preset_name", placeholder=t("sidebar.presets.name_hint")
        )
        if st.form_submit_button(t("sidebar.presets.save"), icon=":material/add:", key="preset_save_button"):
            _save_preset(str(state.value_of("preset_name") or ""), conversation.settings)
    if presets:
        st.download_button(
            t("sidebar.presets.export"),
            state.services().presets.export_toml(),
            file_name="twokeys-presets.toml",
            mime="application/toml",
            icon=":material/download:",
            key="preset_export",
            on_click="ignore",
            width="stretch",
        )
    upload = st.file_uploader(t("sidebar.presets.import"), type=["toml"], key="preset_import")
    if upload is not None and _UPLOADED.get() != upload.file_id:
        _UPLOADED.set(upload.file_id)
        _import_presets(upload.getvalue())


def _own_preset(preset: Preset, conversation: Conversation) -> None:
    name = preset.name
    with st.container(key=f"preset_row_{name}", horizontal=True, gap="xxsmall", wrap=False):
        st.button(
            markdown_label(name),
            key=f"preset_use_{name}",
            on_click=changes.choose_preset,
            args=(conversation.id, name),
            width="stretch",
        )
        st.button(
            "",
            icon=":material/edit:",
            key=f"preset_edit_{name}",
            type="tertiary",
            help=t("sidebar.presets.edit"),
            on_click=_EDITED.set,
            args=(None if _EDITED.get() == name else name,),
        )
    if _EDITED.get() != name:
        return
    new_name = st.text_input(t("sidebar.presets.rename"), value=name, key=f"preset_rename_{name}")
    with st.container(key=f"preset_tools_{name}", horizontal=True, gap="xsmall"):
        if st.button(t("ui.rename"), key=f"preset_rename_button_{name}") and new_name != name:
            _rename_preset(name, new_name or "")
        if st.button(t("ui.delete"), key=f"preset_delete_{name}", icon=":material/delete:"):
            _delete_preset(preset)


def _save_preset(name: str, settings: Settings) -> None:
    presets = state.services().presets
    saved_presets.save(lambda replace: presets.save(name.strip(), settings, replace=replace))
    st.rerun()


def _rename_preset(name: str, new_name: str) -> None:
    try:
        state.services().presets.rename(name, new_name.strip())
        _EDITED.drop()
    except TwoKeysError as error:
        notices.tell_error(error)
    st.rerun()


def _delete_preset(preset: Preset) -> None:
    services = state.services()
    try:
        services.presets.delete(preset.name)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.offer_undo(
            t("sidebar.presets.deleted", name=preset.name),
            lambda: services.repository.save_preset(preset),
        )
    st.rerun()


def _import_presets(data: bytes) -> None:
    try:
        names = state.services().presets.import_toml(data.decode("utf-8", errors="replace"))
        notices.tell(notices.Notice(t("sidebar.presets.imported", count=len(names))))
    except TwoKeysError as error:
        notices.tell_error(error)
    st.rerun()
