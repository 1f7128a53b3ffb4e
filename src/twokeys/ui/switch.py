"""A switch that shows a stored value and passes on what a person makes of it."""

from collections.abc import Callable

import streamlit as st

from twokeys.ui import state


def draw(
    label: str,
    value: bool,
    *,
    key: str,
    note: str = "",
    change: Callable[[bool], None],
    in_popover: bool = False,
) -> None:
    """Draw the switch; `change` is called when a person turned it, before the page is drawn anew.

    note: shown on hover. in_popover: it brings its value along (see `state.popover_key`).
    """
    if in_popover:
        key = state.popover_key(key, value)
    else:
        state.show_value(key, value)
    st.toggle(
        label,
        value=value if in_popover else False,
        key=key,
        help=note or None,
        on_change=lambda: change(bool(state.value_of(key))),
    )
