"""One comparison: its question, the columns as they are written, and what can be done with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from twokeys.core.compare.column import Column
from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.errors import TwoKeysError
from twokeys.types import CUT_REASONS, Sampling
from twokeys.ui import (
    actions,
    attachments,
    navigation,
    notices,
    sharing,
    state,
    structured,
    structured_plain,
    widgets,
    words,
)
from twokeys.ui.compare import draft as drafts
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.units import duration_text
from twokeys.web.component import Action, component_texts, message_view
from twokeys.web.component.columns import columns

ACTIONS = ["copy", "heat", "keep", "regenerate", "details"]
REDRAW_S = 0.2
UNTOLD = {"seed", "stop"}


@dataclass(frozen=True, slots=True)
class Lens:
    """The column of a comparison that is to be looked at with the lens."""

    comparison_id: str
    column: int


LENS = state.TabValue[Lens | None]("compare_lens", None)
"""Parameters that say little about a column at a glance."""


def hidden(comparison: Comparison) -> bool:
    """Whether a blind vote is under way: nothing may tell the columns apart but their text."""
    return comparison.blind is not None and not comparison.blind.revealed


def places(comparison: Comparison) -> Sequence[tuple[str, ColumnView]]:
    """Return (name on the screen, column) in the order shown: by letters while hidden."""
    if comparison.blind is None:
        return [(shown_name(column), column) for column in comparison.columns]
    shuffled = [comparison.columns[number] for number in comparison.blind.order]
    if hidden(comparison):
        return [(letter(place), column) for place, column in enumerate(shuffled)]
    return [(f"{letter(place)} · {shown_name(column)}", column) for place, column in enumerate(shuffled)]


def shown_name(column: ColumnView) -> str:
    """Return the name of a column as it is written on the screen."""
    return column.label or t("chat.tag.temperature", value=f"{column.sampling.temperature:g}")


def letter(place: int) -> str:
    """Return the name of a place in a blind vote."""
    return chr(ord("A") + place)


def draw(comparison: Comparison, pages: Pages) -> None:
    """Draw the question, the buttons and the columns."""
    _question(comparison)
    if navigation.plain():
        st.fragment(_plain, run_every=REDRAW_S if comparison.active else None)(comparison.id)
    else:
        _columns(comparison)
    _shared(comparison)
    _kept_answers(comparison, pages)


# --- question and buttons ---------------------------------------------------------------------------------


def _question(comparison: Comparison) -> None:
    before = f" · {t('compare.from.history', count=len(comparison.history))}" if comparison.history else ""
    prompt = f" · {t('sidebar.system_prompt.title_set')}" if comparison.system_prompt else ""
    widgets.html(
        f'<div class="tk-asked"><span>{escape(t("compare.board.question") + before + prompt)}</span>'
        f"<p>{escape(comparison.question.own_words)}</p>{attachments.sent_markup(comparison.question)}</div>"
    )
    with st.container(horizontal=True, key="compare_tools", gap="small", vertical_alignment="center"):
        if comparison.active and st.button(
            t("compare.stop_all"), key="compare_stop_all", icon=":material/stop_circle:", type="primary"
        ):
            actions.attempt(state.services().compare.stop, comparison.id)
            st.rerun()
        if st.button(t("compare.again"), key="compare_again", icon=":material/replay:"):
            _again(comparison.id)
        if st.button(t("compare.change"), key="compare_change", icon=":material/tune:"):
            _change(comparison)
        _export(comparison)
        if st.button(t("ui.delete"), key="compare_delete", icon=":material/delete:", type="tertiary"):
            delete(comparison.id, comparison.title)
            st.rerun()


def _again(comparison_id: str) -> None:
    try:
        started = state.services().compare.again(comparison_id)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        navigation.open_comparison(started.id)
    st.rerun()


def _change(comparison: Comparison) -> None:
    """Set the same question up again, to change its columns."""
    drafts.take_over(
        tuple(
            Column(c.sampling.with_(seed=None), c.label, c.preset, c.system_prompt, c.answer_schema)
            for c in comparison.columns
        ),
        comparison.question.own_words,
    )
    actions.attempt(state.services().draft_files.ask_again, comparison.question, None)
    navigation.open_comparison(None)
    if comparison.source is not None and comparison.source.question_id is not None:
        st.query_params["from"] = comparison.source.question_id
    st.rerun()


def _export(comparison: Comparison) -> None:
    compare, language = state.services().compare, words.language()
    name = "".join(c if c.isalnum() else "-" for c in comparison.title).strip("-")[:40] or comparison.id
    with st.popover(
        t("ui.export"),
        icon=":material/download:",
        key="compare_export",
        disabled=comparison.active or hidden(comparison),
    ):
        sharing.draw_comparison(comparison)
        st.download_button(
            t("compare.export.markdown"),
            lambda: compare.export_markdown(comparison.id, "zh" if language == "zh" else "en"),
            file_name=f"{name}.md",
            mime="text/markdown",
            key="compare_export_md",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            t("compare.export.json"),
            lambda: compare.export_json(comparison.id),
            file_name=f"{name}.json",
            mime="application/json",
            key="compare_export_json",
            on_click="ignore",
            width="stretch",
        )


def delete(comparison_id: str, title: str) -> None:
    """Delete a comparison and offer to take it back."""
    compare = state.services().compare
    try:
        token = compare.stored.delete(comparison_id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return

    def bring_back() -> None:
        compare.stored.undo(token)
        navigation.open_comparison(comparison_id)

    notices.offer_undo(t("ui.deleted", title=title), bring_back)
    navigation.open_comparison(None)


# --- columns -----------------------------------------------------------------------------------------------


def _columns(comparison: Comparison) -> None:
    secret = hidden(comparison)
    differing = _differing(comparison)
    shown = [
        {
            "name": name,
            "facts": [] if secret else facts_of(column, differing),
            "kept": column.kept_as is not None and not secret,
            "message": _view(column, secret=secret),
        }
        for name, column in places(comparison)
    ]

    def done(action: Action) -> None:
        perform(action, comparison.id)

    columns(
        shown,
        topic=comparison.conversation_id,
        texts=component_texts(words.language()),
        options={
            "lang": words.language(),
            "actions": {"assistant": ["copy"] if secret else ACTIONS},
        },
        key=f"columns_{comparison.id}",
        on_action=done,
    )


def _view(column: ColumnView, *, secret: bool) -> dict[str, Any]:
    answer = column.answer
    view = message_view(answer)
    view["structured"] = structured.view(answer)
    view["versions"] = 1 if secret else max(1, len(column.answer_ids))
    view["version"] = 1 if secret else _version(column)
    if column.job is not None and column.job.active:
        view["job"] = column.job.id
    if answer.error:
        text, hint = words.error_text(answer.error)
        view["error"] = {"code": str(answer.error.get("code", "")), "message": text, "hint": hint}
    if secret:
        view |= {"usage": None, "timings": None, "max_new_tokens": None}
    return view


def _version(column: ColumnView) -> int:
    return column.answer_ids.index(column.answer.id) + 1 if column.answer.id in column.answer_ids else 1


def _differing(comparison: Comparison) -> set[str]:
    samplings = [column.sampling for column in comparison.columns]
    return {
        field.name
        for field in fields(Sampling)
        if field.name not in UNTOLD and len({getattr(sampling, field.name) for sampling in samplings}) > 1
    }


def facts_of(column: ColumnView, differing: set[str]) -> list[str]:
    """Return what tells a column apart: its preset, and the parameters in which the columns differ."""
    presets = state.services().presets
    facts = []
    if column.preset:
        try:
            facts.append(presets.label(presets.get(column.preset), words.language()))
        except TwoKeysError:
            facts.append(column.preset)
    for field in fields(Sampling):
        name = field.name
        if name not in differing or (name == "temperature" and not column.label):
            continue
        value = getattr(column.sampling, name)
        text = f"{value:g}" if isinstance(value, int | float) else str(value)
        facts.append(f"{t(f'sidebar.parameter.{name}.label')} {text}")
    return facts


def perform(action: Action, comparison_id: str) -> None:
    """Do what a person did in a column."""
    compare = state.services().compare
    try:
        comparison = compare.stored.get(comparison_id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    number = next((c.index for c in comparison.columns if c.answer.id == action.message), None)
    if number is None:
        return
    column = comparison.columns[number]
    match action.type:
        case "continue":
            actions.attempt(compare.continue_, comparison_id, number)
        case "continue_differently":
            actions.attempt(compare.continue_differently, comparison_id, number)
        case "regenerate":
            actions.attempt(compare.rerun, comparison_id, number)
        case "keep":
            keep(comparison_id, number)
        case "heat":
            LENS.set(Lens(comparison_id, number))
        case "details":
            notices.ask("details", message_id=column.answer.id, comparison=(comparison_id, number))
        case "version" if action.version is not None and 1 <= action.version <= len(column.answer_ids):
            wanted = column.answer_ids[action.version - 1]
            actions.attempt(compare.show_version, comparison_id, number, wanted)
        case "stop" | "cancel":
            actions.attempt(compare.stop, comparison_id, number)
        case _:
            pass  # "refresh": everything is read again by this very run


def keep(comparison_id: str, number: int) -> None:
    """Make a column's answer the answer in the conversation."""
    try:
        kept_answer = state.services().compare.keeping.keep(comparison_id, number)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.tell(
            notices.Notice(t("compare.kept.new") if kept_answer.created else t("compare.kept.there"))
        )


# --- below the columns --------------------------------------------------------------------------------


def _shared(comparison: Comparison) -> None:
    if comparison.sharing is None:
        return
    line = t(f"comparison.sharing.{comparison.sharing}")
    prefill = comparison.prefill
    if prefill.ratio and not comparison.active:  # 0: all of it was still in the cache
        line += " " + t(
            "compare.prefill",
            processed=count_text(prefill.processed_tokens or 0),
            prompt=count_text(prefill.prompt_tokens or 0),
            ratio=f"{prefill.ratio:.2f}",
        )
    if prefill.wall_s is not None and not comparison.active:
        line += " " + t("compare.wall", seconds=duration_text(prefill.wall_s, words.language()))
    widgets.note(line)


def _kept_answers(comparison: Comparison, pages: Pages) -> None:
    if hidden(comparison):
        return
    for column in comparison.columns:
        if column.kept_as is None:
            continue
        try:
            conversation_id = state.services().conversations.message(column.kept_as).conversation_id
        except TwoKeysError:
            continue  # it was deleted there
        st.page_link(
            pages["chat"],
            label=t("compare.kept.open", name=markdown_label(shown_name(column))),
            icon=":material/arrow_forward:",
            query_params={**navigation.address(), "c": conversation_id},
        )


# --- without the component ----------------------------------------------------------------------------


def _plain(comparison_id: str) -> None:
    """The columns drawn by Streamlit alone, repeated while any is written."""
    comparison = state.services().compare.stored.get(comparison_id)
    active = state.TabValue[bool](f"compare_active_{comparison_id}", False)
    was_active = active.get()
    active.set(comparison.active)
    if was_active and not comparison.active:
        st.rerun()
    secret, differing = hidden(comparison), _differing(comparison)
    shown = places(comparison)
    for place, (name, column) in zip(st.columns(len(shown), gap="small"), shown, strict=True):
        with place, st.container(key=f"card_answer_{column.index}"):
            facts = "" if secret else " ".join(map(_plain_tag, facts_of(column, differing)))
            widgets.html(f'<div class="tk-card"><h3>{escape(name)}</h3>{facts}</div>')
            structured_plain.draw_text(column.answer)
            _plain_state(column)
            if not secret:
                _plain_tools(comparison_id, column)


def _plain_tag(text: str) -> str:
    return widgets.tag(text, "plain")


def _plain_state(column: ColumnView) -> None:
    answer = column.answer
    if column.active:
        phase = column.job.phase if column.job and column.job.phase else "queued"
        widgets.note(t(f"chat.phase.{phase}"))
    elif answer.error:
        widgets.error_card(*words.error_text(answer.error))
    elif answer.finish_reason:
        widgets.note(t(f"chat.finish.{answer.finish_reason}"))


def _plain_tools(comparison_id: str, column: ColumnView) -> None:
    tools: Mapping[str, tuple[str, str]] = (
        {"stop": (":material/stop_circle:", t("chat.stop"))}
        if column.active
        else {
            **(
                {"continue": (":material/play_arrow:", t("chat.continue"))}
                if column.answer.finish_reason in CUT_REASONS
                else {}
            ),
            "heat": (":material/thermometer:", t("compare.lens.open")),
            "keep": (":material/bookmark:", t("compare.keep")),
            "regenerate": (":material/refresh:", t("chat.regenerate")),
            "details": (":material/info:", t("chat.details")),
        }
    )
    with st.container(horizontal=True, key=f"tools_column_{column.index}", gap="xsmall"):
        for name, (icon, label) in tools.items():
            if st.button("", icon=icon, key=f"column_{name}_{column.index}", help=label, type="tertiary"):
                perform(Action(name, column.answer.id), comparison_id)
                st.rerun()
