"""A prompt is chosen: what it brings along is set, its variables are asked for, its text goes into the box.

Nothing is sent. The list of all prompts is the page of `views/prompts.py`.
"""

import streamlit as st

from twokeys.core.prompts import applied, fill, variables
from twokeys.errors import TwoKeysError
from twokeys.types import SavedPrompt
from twokeys.ui import changes, drafts, navigation, notices, state, widgets, words
from twokeys.ui.words import t


def choose(name: str) -> None:
    """Put a prompt into the message box of the conversation that is open; ask for its variables first."""
    prompt = state.services().prompts.get(name, words.language())
    conversation_id = navigation.conversation().id
    navigation.go_to("chat", c=conversation_id)
    if variables(prompt.text):
        drafts.put_back("")
        notices.ask("fill_prompt", conversation_id=conversation_id, prompt_name=prompt.name)
    else:
        _put(prompt, conversation_id, prompt.text)


def brings(prompt: SavedPrompt) -> str:
    """Return in one line what a prompt brings along; "" for nothing."""
    parts = []
    if (temperature := prompt.changes.get("temperature")) is not None:
        parts.append(t("prompts.brings.temperature", value=f"{temperature:g}"))
    if (length := prompt.changes.get("max_new_tokens")) is not None:
        parts.append(t("prompts.brings.length", value=length))
    if others := [name for name in prompt.changes if name not in ("temperature", "max_new_tokens")]:
        parts.append(", ".join(others))
    if prompt.system_prompt:
        parts.append(t("prompts.brings.system_prompt"))
    if prompt.answer_schema is not None:
        parts.append(t("prompts.brings.schema"))
    return " · ".join(parts)


def draw_fill(conversation_id: str, prompt_name: str) -> None:
    """Draw the dialog that asks for a prompt's variables."""
    try:
        prompt = state.services().prompts.get(prompt_name, words.language())
    except TwoKeysError as error:
        widgets.error(error)
        return
    widgets.note(prompt.name if not (line := brings(prompt)) else f"{prompt.name} · {line}")
    asked = variables(prompt.text)
    values = {}
    with st.form("fill_prompt_form", border=False):
        for number, variable in enumerate(asked):
            values[variable.name] = st.text_area(
                variable.name, value=variable.default, key=f"fill_prompt_{number}", height="content"
            )
        done = st.form_submit_button(t("prompts.put"), key="fill_prompt_put", type="primary", width="stretch")
    if done:
        given = {name: value.strip("\n") for name, value in values.items() if value and value.strip()}
        _put(prompt, conversation_id, fill(prompt.text, given))
        notices.close_question()
        st.rerun()


def _put(prompt: SavedPrompt, conversation_id: str, text: str) -> None:
    presets = state.services().presets
    changes.change_settings(conversation_id, lambda old: applied(prompt, old, presets))
    drafts.put_back(text)
