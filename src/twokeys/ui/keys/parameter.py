"""One parameter of a conversation: its heading, the button back to its default, and how its input is tied."""

import streamlit as st

from twokeys.types import Conversation, Sampling
from twokeys.ui import changes, state, widgets
from twokeys.ui.format import escape
from twokeys.ui.parameters import Binding
from twokeys.ui.words import t

DEFAULTS = Sampling()


def bound(name: str, conversation: Conversation, *, in_popover: bool = False) -> Binding:
    """Return the binding of a parameter's input; what a person chooses is theirs from then on.

    in_popover: the input brings its value along (see `state.popover_key`).
    """
    value = getattr(conversation.settings.sampling, name)
    shown = "\n".join(value) if isinstance(value, tuple) else value
    return Binding(
        name,
        value,
        state.popover_key(f"key_{name}", shown) if in_popover else f"key_{name}",
        lambda chosen: changes.set_by_hand(conversation.id, name, chosen),
        bare=True,
        follows=not in_popover,
    )


def heading(name: str, conversation: Conversation) -> None:
    """Draw the small heading of a parameter with its value."""
    value = getattr(conversation.settings.sampling, name)
    shown = f"{value:g}" if isinstance(value, int | float) and name != "seed" else ""
    _heading("tk-key tk-small", t(f"sidebar.parameter.{name}.label"), escape(shown), name, conversation)


def key_heading(name: str, label: str, value: str, conversation: Conversation, *, unit: str = "") -> None:
    """Draw the heading of one of the two keys."""
    small = f"<small>{escape(unit)}</small>" if unit else ""
    _heading("tk-key", label, escape(value) + small, name, conversation)


def _heading(kind: str, label: str, output: str, name: str, conversation: Conversation) -> None:
    default = getattr(DEFAULTS, name)
    shown = f"<span>{escape(label)}</span>" if label else ""
    with st.container(key=f"label_{name}", horizontal=True, vertical_alignment="center", wrap=False):
        widgets.html(f'<div class="{kind}">{shown}<output>{output}</output></div>')
        if getattr(conversation.settings.sampling, name) != default:
            st.button(
                "",
                icon=":material/restart_alt:",
                key=f"reset_{name}",
                type="tertiary",
                help=t("sidebar.advanced.reset", value=_default_text(default)),
                on_click=changes.reset_by_hand,
                args=(conversation.id, (name,)),
            )


def _default_text(value: object) -> str:
    if value is None or value == ():
        return t("sidebar.advanced.nothing")
    return f"{value:g}" if isinstance(value, int | float) else str(value)
