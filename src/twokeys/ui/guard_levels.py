"""What the guard may do in a conversation or a long text: a level per detector, in a small popover."""

import streamlit as st

from twokeys.core.guard import DETECTORS, LEVELS, GuardSettings, level_in_force, levels_of
from twokeys.types import Conversation
from twokeys.ui import changes, state, widgets
from twokeys.ui.words import t

AUTO = "auto"
WRITING = "writing_guard"
PROBS_COST_PERCENT = 3
"""What five candidates per token cost; measured by benchmarks/guard_probs.py, see docs/guard.md."""


def draw(conversation: Conversation, name: str = "guard") -> None:
    """Draw the button with the popover. Every choice is stored at once.

    name: begins the keys of the widgets, and tells a written text's (see WRITING) from a chat's.
    """
    chosen = conversation.settings.guard
    button = "button_writing" if name == WRITING else "button"
    whole = t(f"guard.settings.{button}_changed" if chosen else f"guard.settings.{button}")
    label = whole if name == WRITING else t("sidebar.tool.guard")  # a dot shows there that it is changed
    about = "probs_note_writing" if name == WRITING else "probs_note"
    with (
        st.container(key=f"{name}_box"),
        st.popover(label, icon=":material/shield:", key=f"{name}_popover", type="tertiary", help=whole),
    ):
        widgets.note(t("guard.settings.help"))
        for detector in DETECTORS:
            _detector(detector, conversation, name)
        widgets.note(t(f"guard.settings.{about}", percent=PROBS_COST_PERCENT))
        if chosen:
            st.button(
                t("guard.settings.reset"),
                key=f"{name}_reset",
                icon=":material/restart_alt:",
                on_click=_reset,
                args=(conversation.id,),
                width="stretch",
            )


def _detector(detector: str, conversation: Conversation, name: str) -> None:
    chosen = conversation.settings.guard
    automatic = detector == "uncertainty"
    default = AUTO if automatic else getattr(GuardSettings(), detector)
    shown = level_in_force(detector, chosen[detector]) if detector in chosen else default
    options = [*((AUTO,) if automatic else ()), *levels_of(detector)]
    key = state.popover_key(f"{name}_{detector}", shown)
    st.selectbox(
        t(f"guard.settings.detectors.{detector}"),
        options,
        index=options.index(shown),
        format_func={level: t(f"guard.settings.levels.{level}") for level in (AUTO, *LEVELS)}.__getitem__,
        key=key,
        on_change=_chosen,
        args=(key, detector, default, conversation.id),
    )


def _chosen(key: str, detector: str, default: str, conversation_id: str) -> None:
    """A level that is the default is stored as no choice."""
    level = str(state.value_of(key))
    guard = dict(state.services().conversations.get(conversation_id).settings.guard)
    guard.pop(detector, None)
    if level != default:
        guard[detector] = level
    changes.save_settings(conversation_id, guard=guard)


def _reset(conversation_id: str) -> None:
    changes.save_settings(conversation_id, guard={})
