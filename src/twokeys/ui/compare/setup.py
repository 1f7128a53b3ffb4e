"""Setting up a comparison: the question, two to eight columns with all their parameters, the seed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from twokeys.core.compare.column import Column
from twokeys.errors import TwoKeysError
from twokeys.types import BOUNDS, PARAMETER_GROUPS, SAMPLER_ORDERS, AnswerSchema, Conversation, Message
from twokeys.ui import (
    answer_form,
    attachments,
    navigation,
    notices,
    parameters,
    state,
    switch,
    widgets,
    words,
)
from twokeys.ui.compare import draft as drafts
from twokeys.ui.compare.draft import ComparisonDraft, DraftColumn
from twokeys.ui.compare.tasks import TASKS, task_name
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.parameters import Binding
from twokeys.ui.words import t
from twokeys.units import memory_text

PER_ROW = 4
LENGTH_STEP = 64


def draw(conversation: Conversation, message_id: str | None, *, has_model: bool) -> str | None:
    """Draw the form; return the id of the comparison that was just started."""
    draft = drafts.current(conversation.settings, message_id)
    has_taken = _question(draft, conversation)
    _columns(draft)
    _together(draft)
    started = _start(draft, conversation, has_model=has_model)
    if has_taken and started is None:
        st.rerun()
    return started


# --- question -----------------------------------------------------------------------------------------


def _question(draft: ComparisonDraft, conversation: Conversation) -> bool:
    """Draw what is asked; return whether files were taken."""
    if draft.message_id is not None:
        question, before = _from_here(draft.message_id)
        if question is None:
            widgets.note(t("compare.from.gone"))
            return False
        widgets.html(
            f'<div class="tk-asked"><span>{escape(t("compare.from.title"))}</span>'
            f"<p>{escape(question.own_words)}</p>{attachments.sent_markup(question)}</div>"
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(t("compare.from.history", count=before) if before else t("compare.from.first"))
            if st.button(t("compare.from.own"), key="compare_own", type="tertiary"):
                st.query_params.pop("from", None)
                st.rerun()
        return False
    state.show_value("compare_question", draft.question)
    st.text_area(
        t("compare.question.label"),
        key="compare_question",
        placeholder=t("compare.question.placeholder"),
        height=110,
        on_change=_changed,
        args=("question", "compare_question"),
        label_visibility="collapsed",
    )
    has_taken = attachments.draw_chooser(None, attachments.COMPARE_CHOOSER)
    attachments.draw_chips(None)
    turns = conversation.head_id is not None
    if turns:
        switch.draw(
            t("compare.history.label", title=markdown_label(conversation.title or t("ui.untitled"))),
            draft.with_history,
            key="compare_history",
            note=t("compare.history.help"),
            change=lambda wanted: drafts.change(with_history=wanted),
        )
    return has_taken


def _from_here(message_id: str) -> tuple[Message | None, int]:
    try:
        path = state.services().conversations.path(message_id)
    except TwoKeysError:
        return None, 0
    questions = [number for number, message in enumerate(path) if message.role == "user"]
    return (path[questions[-1]], questions[-1]) if questions else (None, 0)


# --- columns --------------------------------------------------------------------------------------------


def _columns(draft: ComparisonDraft) -> None:
    with st.container(key="compare_columns"):
        for at in range(0, len(draft.columns), PER_ROW):
            row = draft.columns[at : at + PER_ROW]
            width = len(draft.columns) if len(draft.columns) <= PER_ROW else PER_ROW
            for place, slot in zip(st.columns(width, gap="small"), row, strict=False):
                with place:
                    _column(slot, removable=draft.can_shrink)
    with st.container(horizontal=True, key="compare_add", gap="small", vertical_alignment="center"):
        if st.button(
            t("compare.add"), key="compare_add_column", icon=":material/add:", disabled=not draft.can_grow
        ):
            drafts.add()
            st.rerun()
        presets = [preset.name for preset in state.services().presets.list() if preset.kind != "scenario"]
        chosen = st.menu_button(
            t("compare.add_preset"),
            presets,
            key="compare_add_preset",
            icon=":material/bookmark_add:",
            format_func=lambda name: markdown_label(_preset_name(name)),
            disabled=not draft.can_grow,
        )
        if chosen:
            settings = navigation.conversation().settings
            drafts.add(state.services().compare.preset_column(str(chosen), settings))
            st.rerun()
        forms = {slot.column.answer_schema for slot in draft.columns}
        answer_form.draw_choice(
            next(iter(forms)) if len(forms) == 1 else None,
            lambda schema: _form_chosen(draft.columns, schema),
            "compare_form",
        )


def _form_chosen(slots: Sequence[DraftColumn], schema: AnswerSchema | None) -> None:
    for slot in slots:
        drafts.change_column(slot.number, answer_schema=schema)


def _column(slot: DraftColumn, *, removable: bool) -> None:
    number, column, sampling = slot.number, slot.column, slot.column.sampling
    with st.container(key=f"card_column_{number}"):
        with st.container(
            key=f"column_head_{number}", horizontal=True, vertical_alignment="center", wrap=False, gap=None
        ):
            widgets.html(
                f'<div class="tk-key"><span>{escape(_column_title(column))}</span>'
                f"<output>{sampling.temperature:.2f}</output></div>"
            )
            if removable:
                st.button(
                    "",
                    icon=":material/close:",
                    key=f"column_remove_{number}",
                    type="tertiary",
                    help=t("compare.remove"),
                    on_click=drafts.remove,
                    args=(number,),
                )
        parameters.slider(_bound(slot, "temperature", bare=True), high=BOUNDS["temperature"].high)
        with st.popover(
            t("compare.all"), icon=":material/tune:", key=f"column_more_{number}", width="stretch"
        ):
            _parameters(slot)
        widgets.note(_short(column))


def _column_title(column: Column) -> str:
    if column.label:
        return column.label
    return _preset_name(column.preset) if column.preset else t("sidebar.temperature.label")


def _short(column: Column) -> str:
    sampling = column.sampling
    parts = [
        t("compare.length_short", tokens=sampling.max_new_tokens),
        f"top_p {sampling.top_p:g}",
        f"top_k {sampling.top_k}",
    ]
    if sampling.min_p:
        parts.append(f"min_p {sampling.min_p:g}")
    if sampling.order != SAMPLER_ORDERS[0]:
        parts.append(sampling.order)
    if column.system_prompt is not None:
        parts.append(t("compare.own_prompt_short"))
    if column.answer_schema is not None:
        parts.append(answer_form.label(column.answer_schema))
    return " · ".join(parts)


def _parameters(slot: DraftColumn) -> None:
    # the popover is filled when it is opened: a widget must come with its value, not get it later
    column = slot.column
    presets = [preset.name for preset in state.services().presets.list()]
    st.selectbox(
        t("compare.preset"),
        presets,
        index=presets.index(column.preset) if column.preset in presets else None,
        key=slot.key("preset"),
        format_func=_preset_name,
        placeholder=t("compare.preset_none"),
        on_change=_preset_chosen,
        args=(slot,),
    )
    st.text_input(
        t("compare.name"),
        value=column.label,
        key=slot.key("label"),
        max_chars=40,
        placeholder=f"{column.sampling.temperature:g}",
        on_change=_column_changed,
        args=(slot, "label"),
    )
    length = BOUNDS["max_new_tokens"]
    parameters.slider(
        _bound(slot, "max_new_tokens"), low=LENGTH_STEP, high=length.ui_high or length.high, step=LENGTH_STEP
    )
    for group, names in PARAMETER_GROUPS.items():
        widgets.section(t(f"sidebar.group.{group}"))
        for name in names:
            parameters.slider(_bound(slot, name))
    widgets.section(t("sidebar.group.other"))
    _others(slot)


def _others(slot: DraftColumn) -> None:
    column = slot.column
    parameters.order(_bound(slot, "order"))
    parameters.seed(_bound(slot, "seed"), label=t("compare.own_seed"), empty=t("compare.own_seed_none"))
    parameters.stop_strings(_bound(slot, "stop"))
    st.text_area(
        t("compare.own_prompt"),
        value=column.system_prompt or "",
        key=slot.key("system_prompt"),
        height=90,
        help=t("compare.own_prompt_help"),
        on_change=_system_prompt_changed,
        args=(slot,),
    )
    answer_form.draw_button(
        column.answer_schema, lambda schema: _form_chosen([slot], schema), slot.key("form")
    )


def _bound(slot: DraftColumn, name: str, *, bare: bool = False) -> Binding:
    """Return the binding of a column's parameter; its input begins with the value (see _parameters)."""
    return Binding(
        name,
        getattr(slot.column.sampling, name),
        slot.key(name),
        lambda value: drafts.change_column(slot.number, **{name: value}),
        bare=bare,
        follows=False,
    )


def _preset_name(name: str) -> str:
    presets = state.services().presets
    try:
        return presets.label(presets.get(name), words.language())
    except TwoKeysError:
        return name


# --- together, start --------------------------------------------------------------------------------------


def _together(draft: ComparisonDraft) -> None:
    with st.container(key="compare_together", horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show_value("compare_task", draft.task_type)
        st.selectbox(
            t("compare.task.label"),
            _task_choices(draft.task_type),
            index=None,
            key="compare_task",
            format_func=task_name,
            placeholder=t("compare.task.any"),
            accept_new_options=True,
            help=t("compare.task.help"),
            on_change=_changed,
            args=("task_type", "compare_task"),
            width=250,
        )
        switch.draw(
            t("compare.same_seed.label"),
            draft.same_seed,
            key="compare_same_seed",
            note=t("compare.same_seed.help"),
            change=lambda wanted: drafts.change(same_seed=wanted),
        )
        if draft.same_seed:
            parameters.seed(
                Binding("seed", draft.seed, "compare_seed", lambda value: drafts.change(seed=value)),
                width=210,
            )
        switch.draw(
            t("compare.blind.begin"),
            draft.blind,
            key="compare_blind",
            note=t("compare.blind.begin_help"),
            change=lambda wanted: drafts.change(blind=wanted),
        )


def _task_choices(present: str | None) -> Sequence[str]:
    known = [*TASKS, *(task for task in state.services().compare.voting.task_types() if task not in TASKS)]
    return known if present is None or present in known else [*known, present]


def _start(draft: ComparisonDraft, conversation: Conversation, *, has_model: bool) -> str | None:
    if draft.message_id is not None or draft.question.strip():
        _prospect(draft, conversation)
    pressed = st.button(
        t("compare.start", count=len(draft.columns)),
        key="compare_start",
        type="primary",
        icon=":material/view_column:",
        disabled=not has_model,
    )
    if not has_model:
        widgets.note(t("compare.no_model"))
    if not pressed:
        return None
    compare = state.services().compare
    options: dict[str, Any] = {
        "same_seed": draft.same_seed,
        "seed": draft.seed if draft.same_seed else None,
        "task_type": draft.task_type,
        "blind": draft.blind,
    }
    try:
        if draft.message_id is not None:
            started = compare.start_from(draft.message_id, draft.plain_columns(), **options)
        else:
            files = state.services().draft_files
            waiting = files.waiting(None)
            started = compare.start(
                draft.question,
                draft.plain_columns(),
                conversation_id=conversation.id if draft.with_history else None,
                settings=conversation.settings,
                attachments=attachments.counted(waiting).attachments,
                **options,
            )
            files.drop(waiting)
            attachments.forget_refusals()
    except TwoKeysError as error:
        widgets.error(error)
        return None
    return started.id


def _prospect(draft: ComparisonDraft, conversation: Conversation) -> None:
    """What the comparison needs and how the columns will share the question, before it is started."""
    try:
        plan = state.services().compare.plan(
            draft.question,
            draft.plain_columns(),
            conversation_id=conversation.id if draft.with_history and draft.message_id is None else None,
            message_id=draft.message_id,
            settings=conversation.settings,
            documents=[] if draft.message_id else attachments.documents(None),
        )
    except TwoKeysError:
        return  # the start itself tells what is wrong
    about = "" if plan.exact else "≈ "
    line = t(
        "compare.plan.line",
        prompt=about + count_text(plan.prompt_tokens),
        how=t(f"compare.plan.{plan.sharing}"),
    )
    if not plan.fits:
        line = f"{t('compare.plan.too_long', context=count_text(plan.context))} {line}"
    elif plan.sharing == "cached" and plan.needed_bytes and plan.available_bytes:
        line += " " + t(
            "compare.plan.memory",
            needed=memory_text(plan.needed_bytes),
            available=memory_text(plan.available_bytes),
        )
    widgets.note(line)


# --- callbacks ----------------------------------------------------------------------------------------------


def _changed(name: str, key: str) -> None:
    value = state.value_of(key)
    drafts.change(**{name: value})


def _column_changed(slot: DraftColumn, name: str) -> None:
    value = state.value_of(slot.key(name))
    drafts.change_column(slot.number, **{name: value.strip() if isinstance(value, str) else value})


def _system_prompt_changed(slot: DraftColumn) -> None:
    prompt = str(state.value_of(slot.key("system_prompt")) or "").strip()
    drafts.change_column(slot.number, system_prompt=prompt or None)


def _preset_chosen(slot: DraftColumn) -> None:
    name = state.value_of(slot.key("preset"))
    if not name:
        drafts.replace_column(slot.number, replace(slot.column, preset=None))
        return
    try:
        column = state.services().compare.preset_column(str(name), navigation.conversation().settings)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        drafts.replace_column(slot.number, column)
