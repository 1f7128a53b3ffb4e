"""The inputs of sampling parameters, within the ranges of the table of parameters.

What a change does is the caller's; headings, notes and the order on the screen are, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from twokeys.types import BOUNDS, SAMPLER_ORDERS
from twokeys.ui import state
from twokeys.ui.words import t


@dataclass(frozen=True, slots=True)
class Binding:
    """How an input is tied to the parameter that it sets.

    name: the parameter's; value: what it is now; key: the widget's; change: called with a person's value.
    bare: without a label, because a heading stands above. follows: the widget follows `value` wherever that
    is changed; otherwise it begins with it, as a widget must that appears when a popover opens.
    """

    name: str
    value: Any
    key: str
    change: Callable[[Any], None]
    bare: bool = False
    follows: bool = True

    @property
    def label_visibility(self) -> Literal["visible", "collapsed"]:
        return "collapsed" if self.bare else "visible"

    @property
    def help(self) -> str | None:
        """The parameter's explanation, where no heading with a note shows it."""
        return None if self.bare else t(f"sidebar.parameter.{self.name}.note")

    def begin(self, shown: object) -> Any:
        """Return what the widget is to begin with; None where it finds its value under its key."""
        if not self.follows:
            return shown
        state.show_value(self.key, shown)
        return None

    def read(self) -> None:
        """Pass on what a person chose."""
        self.change(state.value_of(self.key))


def slider(
    binding: Binding, *, low: float | None = None, high: float | None = None, step: float | None = None
) -> None:
    """Draw the slider of a number over the table's range, or another; a value outside widens it."""
    bounds = BOUNDS[binding.name]
    number = int if bounds.integer else float
    low = bounds.low if low is None else low
    high = bounds.slider_high(binding.value) if high is None else high
    st.slider(
        t(f"sidebar.parameter.{binding.name}.label"),
        min_value=number(min(low, binding.value)),
        max_value=number(max(high, binding.value)),
        value=binding.begin(number(binding.value)),
        step=number(bounds.step if step is None else step),
        key=binding.key,
        on_change=binding.read,
        label_visibility=binding.label_visibility,
    )


def seed(
    binding: Binding, *, label: str = "", empty: str = "", width: int | Literal["stretch"] = "stretch"
) -> None:
    """Draw the input of a seed, which may be empty. label, empty: other words than the seed's own."""
    st.number_input(
        label or t("sidebar.parameter.seed.label"),
        min_value=int(BOUNDS["seed"].low),
        max_value=int(BOUNDS["seed"].high),
        value=binding.begin(binding.value),
        step=1,
        key=binding.key,
        placeholder=empty or t("sidebar.parameter.seed.placeholder"),
        on_change=binding.read,
        label_visibility=binding.label_visibility,
        width=width,
    )


def order(binding: Binding) -> None:
    """Draw the choice of the samplers' order."""
    st.segmented_control(
        t("sidebar.parameter.order.label"),
        list(SAMPLER_ORDERS),
        default=binding.begin(binding.value),
        key=binding.key,
        required=True,
        help=binding.help,
        on_change=binding.read,
        label_visibility=binding.label_visibility,
        width="stretch" if binding.bare else "content",
    )


def stop_strings(binding: Binding) -> None:
    """Draw the stop strings, one a line."""

    def read() -> None:
        lines = str(state.value_of(binding.key) or "").split("\n")
        binding.change(tuple(line for line in lines if line))

    st.text_area(
        t("sidebar.parameter.stop.label"),
        value=binding.begin("\n".join(binding.value)) or "",
        key=binding.key,
        height=80,
        help=binding.help,
        on_change=read,
        label_visibility=binding.label_visibility,
    )
