"""The first screen of a conversation: what it is for comes first, the two keys follow (S16).

Four tasks, each with its keys; the chosen one says why, and offers examples that fill the message box.
Nothing here is sent.
"""

import streamlit as st

from twokeys.core.presets import GOLDEN_COMBINATIONS, has_parameters
from twokeys.types import Conversation, Preset
from twokeys.ui import changes, drafts, evidence, navigation, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.words import t

EXAMPLES = 4
"""How many example questions each golden combination has in the texts."""


def draw(conversation: Conversation) -> None:
    """Draw the question, the tasks, the reason of the chosen one, and its examples."""
    widgets.html(f'<div class="tk-empty"><h1>{escape(t("chat.empty.title"))}</h1></div>')
    sampling = conversation.settings.sampling
    chosen = next((preset for preset in GOLDEN_COMBINATIONS if has_parameters(preset, sampling)), None)
    with st.container(key="first_tasks", horizontal=True, gap="small"):
        for preset in GOLDEN_COMBINATIONS:
            _task(preset, conversation, chosen=preset is chosen)
        with st.container(key="first_long"):
            st.button(
                f"{t('chat.empty.long')} :gray[{t('chat.empty.long_note')}]",
                key="first_task_long",
                icon=":material/arrow_forward:",
                icon_position="right",
                on_click=navigation.go_to,
                args=("writing",),
                width="stretch",
            )
    widgets.note(
        state.services().presets.why(chosen, words.language()) if chosen else t("sidebar.combination.none")
    )
    if chosen is not None:
        evidence.draw(chosen.name, key="evidence_first")
    _examples(conversation, (chosen or _nearest(conversation)).name)


def _task(preset: Preset, conversation: Conversation, *, chosen: bool) -> None:
    keys = f"{preset.changes['temperature']:g} · {preset.changes['max_new_tokens']}"
    with st.container(key=f"first_{'chosen' if chosen else 'other'}_{preset.name}"):
        st.button(
            f"{t(f'chat.empty.task.{preset.name}')} :gray[{keys}]",
            key=f"first_task_{preset.name}",
            icon=":material/check:" if chosen else None,
            icon_position="right",
            on_click=changes.choose_preset,
            args=(conversation.id, preset.name),
            width="stretch",
        )


def _examples(conversation: Conversation, name: str) -> None:
    widgets.section(t("chat.empty.examples"))
    with st.container(key="examples", gap=None):
        for number in range(1, EXAMPLES + 1):
            text = t(f"chat.example.{name}.{number}")
            st.button(
                text,
                key=f"example_{name}_{number}",
                icon=":material/north_west:",
                type="tertiary",
                on_click=_fill,
                args=(conversation.id, text),
                width="stretch",
            )


def _fill(conversation_id: str, text: str) -> None:
    """Put an example into the message box, below what a person typed there."""
    typed = drafts.seen(conversation_id)
    if typed and not _is_example(typed):
        text = f"{typed}\n\n{text}"
    drafts.put_back(text)
    drafts.see(conversation_id, text)


def _is_example(text: str) -> bool:
    names = [preset.name for preset in GOLDEN_COMBINATIONS]
    return any(
        text == t(f"chat.example.{name}.{number}") for name in names for number in range(1, EXAMPLES + 1)
    )


def _nearest(conversation: Conversation) -> Preset:
    temperature = conversation.settings.sampling.temperature
    return min(GOLDEN_COMBINATIONS, key=lambda preset: abs(preset.changes["temperature"] - temperature))
