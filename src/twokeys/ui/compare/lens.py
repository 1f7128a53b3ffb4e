"""The lens over one column: its tokens coloured by probability, and the thermometer."""

import streamlit as st

from twokeys.core.compare.comparison import Comparison
from twokeys.types import Sampling, TokenProb
from twokeys.ui import probabilities, state, widgets
from twokeys.ui.compare.board import LENS, places
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t


def draw(comparison: Comparison) -> None:
    """Draw the section: which column, and its heat map. The columns are not hidden."""
    names = {column.index: name for name, column in places(comparison)}
    number = _chosen(comparison, names)
    if number is None:
        widgets.note(t("compare.lens.hint"))
        return
    column = comparison.columns[number]
    if column.active:
        widgets.note(t("compare.lens.wait"))
        return
    compare = state.services().compare

    def fork(token: int, token_id: int) -> None:
        compare.fork(comparison.id, number, token, token_id)

    def widen(token: int) -> TokenProb:
        return compare.distribution(comparison.id, number, token)

    asked = column.answer.provenance.sampling_set  # of this version, which may have its own
    probabilities.draw(
        column.answer,
        Sampling.from_dict(asked) if asked else column.sampling,
        fork=fork,
        widen=widen,
        key=f"lens_{comparison.id}_{number}",
    )


def asked(comparison: Comparison) -> bool:
    """Whether a column of this comparison was asked to be looked at closely."""
    wanted = LENS.get()
    if wanted is not None and wanted.comparison_id == comparison.id:
        return True
    return state.value_of("lens_column") in {column.index for _, column in places(comparison)}


def _chosen(comparison: Comparison, names: dict[int, str]) -> int | None:
    asked = LENS.get()
    if asked is not None and asked.comparison_id == comparison.id:
        LENS.drop()
        state.show_value("lens_column", asked.column)
    if state.value_of("lens_column") not in names:
        state.show_value("lens_column", None)
    chosen = st.pills(
        t("compare.lens.column"),
        list(names),
        key="lens_column",
        format_func=lambda number: markdown_label(names[number]),
    )
    return None if chosen is None else int(chosen)
