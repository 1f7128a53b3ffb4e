"""Structured answers drawn by Streamlit alone: on the plain page, in plain comparisons, and gathered rows."""

from functools import partial

import streamlit as st

from twokeys.core.structured.export import (
    MEDIA_TYPES,
    FileKind,
    Sheet,
    answer_file,
    file_kinds,
    sheet_file,
    sheet_of_gathered,
    sheet_rows,
)
from twokeys.core.structured.markdown import message_markdown, table_markdown
from twokeys.core.structured.rows import AnswerTable, GatheredTable, gather
from twokeys.core.structured.schema import AnswerSchema
from twokeys.errors import TwoKeysError
from twokeys.types import Message
from twokeys.ui import model_text, state, structured, widgets
from twokeys.ui.words import t


def draw_text(message: Message, *, growing: bool = False) -> None:
    """Draw what an answer says: a structured one as its table or JSON, any other as Markdown."""
    asked = message.provenance.answer_schema is not None and bool(message.content)
    model_text.draw(message_markdown(message), growing=growing and not asked)


def draw_plain(message: Message, schema: AnswerSchema) -> None:
    """Draw a structured answer with Streamlit alone: the table, whether it is valid, files, the raw text."""
    with st.container(key=f"form_{message.id}"):
        draw_text(message)
    said = structured.verdict(message, schema)
    if said is not None:
        widgets.note(said["text"])
    with st.container(horizontal=True, key=f"form_files_{message.id}", gap="xsmall"):
        for kind in file_kinds(message.content, schema.value):
            st.download_button(
                kind.upper(),
                partial(_file_of, message.content, kind, schema),
                file_name=f"{t('structured.file')}.{kind}",
                mime=MEDIA_TYPES[kind],
                key=f"form_{kind}_{message.id}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
    with st.expander(t("structured.raw"), key=f"form_raw_{message.id}"):
        st.code(message.content, language="json", wrap_lines=True)


def _file_of(text: str, kind: FileKind, schema: AnswerSchema) -> bytes:
    return answer_file(text, kind, schema.value) or b""


def draw_gathered(conversation_id: str) -> None:
    """Draw the dialog with the rows of all answers of a conversation in one table."""
    try:
        messages = state.services().conversations.messages(conversation_id)
    except TwoKeysError as error:
        widgets.error(error)
        return
    gathered = gather(structured.sources(messages))
    if not gathered.rows:
        widgets.note(t("structured.gathered.none"))
        return
    widgets.html(f'<p class="tk-lead">{_lead(gathered)}</p>')
    sheet = sheet_of_gathered(gathered, t("structured.gathered.answer"))
    with st.container(key="gathered_rows", height=420, border=False):
        model_text.draw(table_markdown(_as_table(sheet)))
    with st.container(horizontal=True, key="gathered_files", gap="small"):
        for kind, media_type in MEDIA_TYPES.items():
            st.download_button(
                kind.upper(),
                partial(sheet_file, sheet, kind),
                file_name=f"{t('structured.file')}.{kind}",
                mime=media_type,
                key=f"gathered_{kind}",
                icon=":material/download:",
                on_click="ignore",
            )


def _lead(gathered: GatheredTable) -> str:
    return t("structured.gathered.lead", rows=len(gathered.rows), answers=gathered.sources)


def _as_table(sheet: Sheet) -> AnswerTable:
    rows = tuple(sheet_rows(sheet))
    return AnswerTable(sheet.headings, rows, len(rows))
