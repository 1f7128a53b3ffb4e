"""The document: downloads in four formats, the whole text to read, and what the project asks for."""

from collections.abc import Callable

import streamlit as st

from twokeys.core.writer.view import ProjectView
from twokeys.errors import TwoKeysError
from twokeys.manuscript import FORMATS, MEDIA_TYPES, export_project, read_notes
from twokeys.ui import model_text, notices, state, widgets, writing
from twokeys.ui.words import t

_SAVED = state.TabValue[int]("wr_set_saved", 0)
NAMES = {"md": "Markdown", "docx": "Word (DOCX)", "html": "HTML", "txt": "TXT"}


def draw(view: ProjectView) -> None:
    """Draw the tab."""
    written = any(section.text for section in view.sections)
    widgets.section(t("writing.document.download"))
    name = "".join(c if c.isalnum() else "-" for c in view.title).strip("-")[:60] or view.id
    with st.container(horizontal=True, key="writing_exports", gap="small", wrap=True):
        for kind in FORMATS:
            st.download_button(
                NAMES[kind],
                _exporter(view.id, kind),
                file_name=f"{name}.{kind}",
                mime=MEDIA_TYPES[kind],
                icon=":material/download:",
                key=f"writing_export_{kind}",
                on_click="ignore",
                disabled=not written,
            )
    with st.expander(t("writing.document.read"), icon=":material/menu_book:", key="writing_read"):
        if written:
            with st.container(key="writing_whole"):
                model_text.draw(export_project(view, "md").decode())
        else:
            widgets.note(t("writing.document.nothing"))
    with st.expander(t("writing.document.settings"), icon=":material/tune:", key="writing_settings"):
        _settings(view)


def _exporter(project_id: str, kind: str) -> Callable[[], bytes]:
    return lambda: export_project(state.services().writer.view(project_id), kind)


def _settings(view: ProjectView) -> None:
    project = view.project
    # a save empties the chooser, and shows the notes with what was read from the files
    saved = _SAVED.get()
    topic = st.text_input(t("writing.form.topic"), value=project.topic, key="wr_set_topic", max_chars=300)
    length = st.number_input(
        t(f"writing.form.length_{project.unit}"),
        value=project.length,
        step=100,
        min_value=1,
        key="wr_set_length",
    )
    audience = st.text_input(t("writing.form.audience"), value=project.audience, key="wr_set_audience")
    style = st.text_input(t("writing.form.style"), value=project.style, key="wr_set_style")
    notes = st.text_area(
        t("writing.form.notes"), value=project.notes, key=f"wr_set_notes_{saved}", height=160
    )
    files = st.file_uploader(
        t("writing.form.files"),
        accept_multiple_files=True,
        key=f"wr_set_files_{saved}",
    )
    if st.button(t("ui.save"), key="wr_set_save", type="primary"):
        try:
            read = [read_notes(file.getvalue(), file.name) for file in files or ()]
            changed = project.with_(
                topic=topic or "",
                length=int(length),
                audience=audience or "",
                style=style or "",
                notes="\n\n".join([*([notes] if notes else []), *read]),
            )
        except TwoKeysError as error:
            notices.tell_error(error)
            st.rerun()
        _SAVED.set(saved + 1)
        writing.attempt(state.services().writer.set_project, view.id, changed)
