"""The two keys and, behind four buttons, what stands beside them: role, presets, parameters, the guard.

Every change is written to the conversation at once and takes effect on its next message.
"""

import streamlit as st

from twokeys.types import Conversation
from twokeys.ui import changes, guard_levels, state, widgets
from twokeys.ui.keys import advanced, card, own_presets
from twokeys.ui.keys.parameter import DEFAULTS
from twokeys.ui.words import t

KEYS = ("temperature", "max_new_tokens")


def draw(conversation: Conversation) -> None:
    """Draw the card with the two keys and the row of buttons under it."""
    settings = conversation.settings
    with st.container(key="keys_card"):
        card.draw(conversation)
    others = [name for name in DEFAULTS.to_dict() if name not in KEYS]
    changed = any(getattr(settings.sampling, name) != getattr(DEFAULTS, name) for name in others)
    with st.container(key="tools", horizontal=True, gap="xxsmall", wrap=False):
        with _tool("system_prompt", "badge", is_set=bool(settings.system_prompt)):
            _system_prompt(conversation)
        with _tool("presets", "bookmark"):
            own_presets.draw(conversation)
        with _tool("advanced", "tune", is_set=changed):
            advanced.draw(conversation)
        with st.container(key="tool_set_guard" if settings.guard else "tool_guard"):
            guard_levels.draw(conversation)


def _tool(name: str, icon: str, *, is_set: bool = False) -> st.delta_generator.DeltaGenerator:
    """Draw the button of a popover, with a dot when something is set in it, and return the popover."""
    with st.container(key=f"tool_{'set_' if is_set else ''}{name}"):
        return st.popover(
            t(f"sidebar.tool.{name}"),
            icon=f":material/{icon}:",
            key=f"{name}_box",
            type="tertiary",
            width="stretch",
            help=t(f"sidebar.{name}.title_set" if is_set else f"sidebar.{name}.title"),
        )


def _system_prompt(conversation: Conversation) -> None:
    prompt = conversation.settings.system_prompt
    key = state.popover_key("key_system_prompt", prompt)
    st.text_area(
        t("sidebar.system_prompt.label"),
        value=prompt,
        key=key,
        placeholder=t("sidebar.system_prompt.placeholder"),
        help=t("sidebar.system_prompt.help"),
        on_change=changes.save_setting_of,
        args=(conversation.id, "system_prompt", key),
        height=130,
    )
    widgets.note(t("sidebar.system_prompt.note"))
