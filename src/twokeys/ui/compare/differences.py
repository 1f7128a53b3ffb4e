"""What differs between the columns: two texts laid over each other, figures, and a small chart."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

import streamlit as st

from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.core.compare.difference import Difference
from twokeys.core.compare.figures import Figures
from twokeys.ui import state, widgets
from twokeys.ui.compare.board import places
from twokeys.ui.format import escape
from twokeys.ui.words import t

CHART_FIGURES = ("mean_prob", "mean_entropy", "distinct_2", "rep_4", "words", "tok_per_s")
SHARES = {"distinct_1", "distinct_2", "rep_4", "mean_prob"}
LONGEST_SHOWN = 40_000
"""Characters of a difference that are drawn; the rest is counted only."""


def draw_texts(comparison: Comparison) -> None:
    """Draw two of the texts laid over each other. The columns are finished and not hidden."""
    _texts(comparison, places(comparison))


def draw_figures(comparison: Comparison) -> None:
    """Draw the figures of all columns as a table and a chart. The columns are finished and not hidden."""
    shown = places(comparison)
    figures = state.services().compare.figures(comparison.id)
    ordered = [figures[column.index] for _, column in shown]
    names = _unique([name for name, _ in shown])
    widgets.html(_table(names, ordered))
    _chart(names, ordered)


# --- two texts -----------------------------------------------------------------------------------------


def _texts(comparison: Comparison, shown: Sequence[tuple[str, ColumnView]]) -> None:
    names = {column.index: name for name, column in shown}
    numbers = list(names)
    with st.container(horizontal=True, key="differ_choice", vertical_alignment="bottom", gap="small"):
        first = _choice("differ_first", t("compare.differ.first"), numbers, numbers[0], names)
        second = _choice("differ_second", t("compare.differ.second"), numbers, numbers[-1], names)
        if state.value_of("differ_unit") is None:
            state.show_value("differ_unit", "word")
        unit: Literal["word", "char"] | None = st.segmented_control(
            t("compare.differ.unit"),
            ["word", "char"],
            key="differ_unit",
            required=True,
            format_func=lambda name: t(f"compare.differ.{name}"),
            label_visibility="collapsed",
        )
    if first == second:
        widgets.note(t("compare.differ.same_column"))
        return
    difference = state.services().compare.difference(comparison.id, first, second, unit or "word")
    widgets.html(
        f'<p class="tk-note">{escape(t("compare.differ.legend"))} '
        f'<del class="tk-del">{escape(names[first])}</del> '
        f'<ins class="tk-ins">{escape(names[second])}</ins> · '
        f"{escape(t('compare.differ.similar', share=f'{difference.similarity:.0%}'))}</p>"
    )
    widgets.html(f'<div class="tk-diff" tabindex="0">{diff_html(difference)}</div>')


def _choice(key: str, label: str, numbers: list[int], start: int, names: dict[int, str]) -> int:
    if state.value_of(key) not in numbers:
        state.show_value(key, start)
    chosen = st.selectbox(label, numbers, key=key, format_func=names.__getitem__, width=190)
    return int(chosen)


def diff_html(difference: Difference) -> str:
    """Return both texts in one: only in the first struck through, only in the second underlined."""
    parts, length = [], 0
    for piece in difference.pieces:
        if length > LONGEST_SHOWN:
            parts.append("…")
            break
        length += max(len(piece.first), len(piece.second))
        if piece.operation == "equal":
            parts.append(escape(piece.first))
            continue
        if piece.first:
            parts.append(f'<del class="tk-del">{escape(piece.first)}</del>')
        if piece.second:
            parts.append(f'<ins class="tk-ins">{escape(piece.second)}</ins>')
    return "".join(parts)


# --- figures ---------------------------------------------------------------------------------------------


def _table(names: Sequence[str], figures: Sequence[Figures]) -> str:
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    rows = []
    for field in fields(Figures):
        values = [getattr(column, field.name) for column in figures]
        if all(value is None for value in values):
            continue
        cells = "".join(f"<td>{escape(_shown(field.name, value))}</td>" for value in values)
        title, about = t(f"comparison.figure.{field.name}.title"), t(f"comparison.figure.{field.name}.about")
        rows.append(f"<tr><th scope='row'>{escape(title)}<small>{escape(about)}</small></th>{cells}</tr>")
    label = escape(t("compare.differ.table"))
    return (
        f'<div class="tk-scroll" tabindex="0"><table class="tk-table" aria-label="{label}">'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shown(name: str, value: object) -> str:
    if value is None:
        return "–"
    if name == "finish_reason":
        return t(f"comparison.finish.{value}")
    if name in SHARES:
        return f"{value:.1%}" if name in ("rep_4", "mean_prob") else f"{value:.3f}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _chart(names: Sequence[str], figures: Sequence[Figures]) -> None:
    known = [name for name in CHART_FIGURES if any(getattr(column, name) is not None for column in figures)]
    if not known:
        return
    if state.value_of("differ_chart") not in known:
        state.show_value("differ_chart", known[0])
    name = st.pills(
        t("compare.differ.chart"),
        known,
        key="differ_chart",
        required=True,
        format_func=lambda name: t(f"comparison.figure.{name}.title"),
    )
    st.altair_chart(chart(names, [getattr(column, str(name)) for column in figures], _title(str(name))))


def _title(name: str) -> str:
    return t(f"comparison.figure.{name}.title")


def chart(names: Sequence[str], values: Sequence[float | None], title: str) -> Any:
    """Return bars of one figure across the columns, each labelled with its value."""
    import altair as alt  # half a second that no other page needs

    rows = [
        {"column": name, "value": value}
        for name, value in zip(names, values, strict=True)
        if value is not None
    ]
    base = alt.Chart({"values": rows}).encode(
        x=alt.X("column:N", sort=list(names), title=None, axis=alt.Axis(labelAngle=0, labelLimit=120)),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=4)),
        tooltip=[alt.Tooltip("column:N", title=" "), alt.Tooltip("value:Q", title=title, format=".3~g")],
    )
    bars = base.mark_bar(size=34, cornerRadiusEnd=4)
    labels = base.mark_text(dy=-8, fontSize=12).encode(text=alt.Text("value:Q", format=".3~g"))
    return (bars + labels).properties(height=190)


def _unique(names: Sequence[str]) -> list[str]:
    """Two columns may have the same name: number those."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if names.count(name) == 1 else f"{name} ({seen[name]})")
    return unique
