"""The form that answers are asked to have: text, a table by its columns, or JSON by an example or a schema.

Chosen in a dialog, beside the message box or for the columns of a comparison. What a form allows is decided
in core/structured.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import streamlit as st

from twokeys.core.structured.derive import (
    MAX_TABLE_COLUMNS,
    ColumnKind,
    TableColumn,
    schema_of_example,
    table_columns,
    table_schema,
)
from twokeys.core.structured.schema import AnswerSchema, check_honoured
from twokeys.core.structured.wording import form_name
from twokeys.errors import TwoKeysError
from twokeys.ids import new_id
from twokeys.types import Conversation
from twokeys.ui import changes, notices, state, widgets, words
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t

FormKind = Literal["text", "table", "json"]
JsonWay = Literal["example", "schema"]
SaveForm = Callable[[AnswerSchema | None], None]
KIND, WAY = "form_kind", "form_way"
TEXTS = {"example": "form_example", "schema": "form_schema"}
FIRST_ROWS = 3
_BETWEEN_CHOICES = re.compile(r"[,，、;；\n]")


@dataclass(frozen=True, slots=True)
class FormDraft:
    """What the dialog began with: the kind of answer, the columns by the ids of their rows, JSON as text."""

    kind: FormKind = "table"
    columns: tuple[tuple[str, TableColumn | None], ...] = ()
    way: JsonWay = "example"
    text: str = ""


_DRAFT = state.TabValue[FormDraft]("form_draft", FormDraft())


def draw(conversation: Conversation) -> None:
    """Draw what form the answers of a conversation have, beside its message box."""
    draw_choice(
        conversation.settings.answer_schema,
        lambda schema: changes.save_settings(conversation.id, answer_schema=schema),
    )


def draw_choice(schema: AnswerSchema | None, save: SaveForm, name: str = "form") -> None:
    """Draw the button that opens the dialog, and the one that goes back to text. name: begins the keys."""
    with st.container(key=f"{name}_row", horizontal=True, vertical_alignment="center", gap=None, wrap=False):
        draw_button(schema, save, f"{name}_open")
        if schema is not None:
            st.button(
                "",
                key=f"{name}_drop",
                icon=":material/close:",
                type="tertiary",
                help=t("structured.form.drop"),
                on_click=save,
                args=(None,),
            )


def draw_button(schema: AnswerSchema | None, save: SaveForm, key: str) -> None:
    """Draw the button that opens the dialog; it says what form there is."""
    st.button(
        t("structured.form.button") if schema is None else markdown_label(label(schema)),
        key=key,
        icon=":material/table_chart:" if schema is None or _is_table(schema) else ":material/data_object:",
        type="tertiary",
        help=t("structured.form.help"),
        on_click=open_dialog,
        args=(schema, save),
    )


def open_dialog(schema: AnswerSchema | None, save: SaveForm) -> None:
    """Ask what form answers are to have, beginning with the one they have now."""
    columns: Sequence[TableColumn | None] = [None] * FIRST_ROWS
    draft = FormDraft()
    if schema is not None:
        known = table_columns(schema.value)
        if known is not None:
            columns = known
        else:
            draft = FormDraft("json", way="schema", text=_pretty(schema))
    rows = tuple((new_id(), column) for column in columns)
    _DRAFT.set(FormDraft(draft.kind, rows, draft.way, draft.text))
    for key in (KIND, WAY, *TEXTS.values()):
        st.session_state.pop(key, None)
    notices.ask("form", save=save)


def draw_dialog(save: SaveForm) -> None:
    """Draw the dialog. save: takes the form that was chosen, None for text."""
    draft = _DRAFT.get()
    state.show_default(KIND, draft.kind)
    st.segmented_control(
        t("structured.form.kind"),
        get_args(FormKind),
        format_func=lambda kind: t(f"structured.form.{kind}"),
        key=KIND,
        required=True,
        label_visibility="collapsed",
        width="stretch",
    )
    kind = state.value_of(KIND)
    widgets.note(t(f"structured.form.{kind}_note"))
    if kind == "table":
        _columns(draft)
    elif kind == "json":
        _json(draft)
    problem_place = st.container()
    problem: TwoKeysError | None = None
    with st.container(horizontal=True, horizontal_alignment="distribute", key="form_end"):
        if st.button(t("structured.form.cancel"), key="form_cancel", type="tertiary"):
            notices.close_question()
            st.rerun()
        if st.button(t("structured.form.use"), key="form_use", type="primary", icon=":material/check:"):
            problem = _use(save, kind, draft)
    if problem is not None:
        with problem_place:
            widgets.error(problem)


def _use(save: SaveForm, kind: FormKind, draft: FormDraft) -> TwoKeysError | None:
    """Keep what was chosen, and close; return what is wrong with it."""
    try:
        schema = None if kind == "text" else _table_of_rows(draft) if kind == "table" else _schema_of_text()
        if schema is not None:
            check_honoured(schema)
    except TwoKeysError as error:
        return error
    save(schema)
    notices.close_question()
    st.rerun()
    return None


# --- a table by its columns -------------------------------------------------------------------------------


def _columns(draft: FormDraft) -> None:
    with st.container(key="form_columns"):
        for number, (row, column) in enumerate(draft.columns):
            _column(number, row, column, draft)
    st.button(
        t("structured.form.add"),
        key="form_add",
        icon=":material/add:",
        type="tertiary",
        disabled=len(draft.columns) >= MAX_TABLE_COLUMNS,
        on_click=_add,
    )


def _column(number: int, row: str, column: TableColumn | None, draft: FormDraft) -> None:
    name, kind, choices, empty = (f"form_{part}_{row}" for part in ("name", "type", "choices", "empty"))
    state.show_default(name, column.name if column else "")
    state.show_default(kind, column.kind if column else "text")
    state.show_default(choices, t("structured.comma").join(column.choices) if column else "")
    state.show_default(empty, column.may_be_empty if column else False)
    place = number + 1
    with st.container(key=f"form_column_{row}", horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.text_input(
            t("structured.form.name", number=place),
            key=name,
            placeholder=_placeholder(number),
            label_visibility="collapsed",
            max_chars=80,
        )
        st.selectbox(
            t("structured.form.type", number=place),
            get_args(ColumnKind),
            format_func=lambda kind: t(f"structured.kind.{kind}"),
            key=kind,
            label_visibility="collapsed",
        )
        st.checkbox(t("structured.form.empty"), key=empty)
        st.button(
            "",
            key=f"form_remove_{row}",
            icon=":material/close:",
            type="tertiary",
            help=t("structured.form.remove", number=place),
            disabled=len(draft.columns) == 1,
            on_click=_remove,
            args=(row,),
        )
    if state.value_of(kind) == "choice":
        st.text_input(
            t("structured.form.choices", number=place),
            key=choices,
            placeholder=t("structured.form.choices_hint"),
            label_visibility="collapsed",
        )


def _placeholder(number: int) -> str:
    return t(f"structured.form.placeholder.{number + 1}") if number < FIRST_ROWS else ""


def _add() -> None:
    draft = _DRAFT.get()
    _DRAFT.set(FormDraft("table", (*draft.columns, (new_id(), None)), draft.way, draft.text))


def _remove(row: str) -> None:
    draft = _DRAFT.get()
    rows = tuple(entry for entry in draft.columns if entry[0] != row)
    _DRAFT.set(FormDraft("table", rows, draft.way, draft.text))


def _table_of_rows(draft: FormDraft) -> AnswerSchema:
    """Return the schema of the named columns; rows that were left blank count for nothing."""
    columns = []
    for row, _ in draft.columns:
        name = str(state.value_of(f"form_name_{row}") or "")
        kind = state.value_of(f"form_type_{row}")
        listed = str(state.value_of(f"form_choices_{row}") or "")
        if not name.strip():
            continue
        choices = tuple(_BETWEEN_CHOICES.split(listed)) if kind == "choice" else ()
        columns.append(TableColumn(name, kind, choices, bool(state.value_of(f"form_empty_{row}"))))
    return AnswerSchema.of(table_schema(columns), t("structured.form.table"), "table")


# --- JSON by an example or a schema -------------------------------------------------------------------------


def _json(draft: FormDraft) -> None:
    state.show_default(WAY, draft.way)
    st.segmented_control(
        t("structured.form.way"),
        get_args(JsonWay),
        format_func=lambda way: t(f"structured.form.way_{way}"),
        key=WAY,
        required=True,
        label_visibility="collapsed",
    )
    way = state.value_of(WAY)
    key = TEXTS[way]
    state.show_default(key, draft.text if way == draft.way else "")
    text = st.text_area(
        t(f"structured.form.way_{way}"),
        key=key,
        height=220,
        placeholder=t(f"structured.form.{way}_hint"),
        label_visibility="collapsed",
    )
    if not (text or "").strip():
        return
    try:
        schema = _schema_of_text()
        check_honoured(schema)
    except TwoKeysError as error:
        widgets.error(error)
        return
    if way == "example":
        with st.expander(t("structured.form.derived"), key="form_derived", expanded=True):
            st.code(_pretty(schema), language="json", height=220)


def _schema_of_text() -> AnswerSchema:
    """Return the schema that was pasted, or that of the example. Raises BadInput, BadSchema."""
    way = state.value_of(WAY)
    text = str(state.value_of(TEXTS[way]) or "")
    if way == "example":
        return AnswerSchema.of(schema_of_example(text), t("structured.form.way_example"), "example")
    return AnswerSchema.from_text(text, _title_in(text) or "JSON", "schema")


def _title_in(text: str) -> str:
    """Return the title that a schema gives itself."""
    try:
        title = json.loads(text)["title"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return title if isinstance(title, str) else ""


def _pretty(schema: AnswerSchema) -> str:
    return json.dumps(schema.value, ensure_ascii=False, indent=2)


def _is_table(schema: AnswerSchema) -> bool:
    return schema.origin == "table"


def label(schema: AnswerSchema) -> str:
    """Return what a form is called on a button."""
    kind = "set_table" if _is_table(schema) else "set_json"
    return t(f"structured.form.{kind}", name=form_name(schema, words.language()))
