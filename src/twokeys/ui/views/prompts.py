"""The library of prompts: a person's own, made, changed and taken along as a file, and the shipped ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from twokeys.answer_schema import AnswerSchema
from twokeys.core.prompts import variables
from twokeys.errors import TwoKeysError
from twokeys.types import Sampling, SavedPrompt
from twokeys.ui import notices, prompts, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t

PREVIEW_CHARS = 220
_EDITED = state.TabValue[str | None]("prompt_edited", None)
_UPLOADED = state.TabValue[str | None]("prompt_upload", None)
_BLANK = SavedPrompt("", "")


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("prompts.title"), t("prompts.lead"))
    listed = state.services().prompts.list(words.language())
    own = [prompt for prompt in listed if not prompt.shipped]
    edited = next((prompt for prompt in own if prompt.name == _EDITED.get()), None)
    with st.container(key="card_prompt_form"):
        _form(edited)
    widgets.section(t("prompts.own"))
    if not own:
        widgets.note(t("prompts.empty"))
    for number, prompt in enumerate(own):
        _card(prompt, f"own_{number}")
    _file(bool(own))
    widgets.section(t("prompts.shipped"))
    for number, prompt in enumerate(prompt for prompt in listed if prompt.shipped):
        _card(prompt, f"shipped_{number}")


def _card(prompt: SavedPrompt, key: str) -> None:
    text = " ".join(prompt.text.split())
    preview = text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1] + "…"
    names = "".join(widgets.tag(variable.name, "plain") for variable in variables(prompt.text))
    line = f'<p class="tk-under">{escape(brings)}</p>' if (brings := prompts.brings(prompt)) else ""
    with st.container(key=f"card_prompt_{key}"):
        left, right = st.columns([2.4, 1], vertical_alignment="center", gap="medium")
        with left:
            widgets.html(
                f'<div class="tk-card"><h3>{escape(prompt.name)} {names}</h3>'
                f"<p>{escape(preview)}</p>{line}</div>"
            )
        with right, st.container(key=f"prompt_tools_{key}", horizontal_alignment="right", gap="small"):
            _button("use", key, lambda: prompts.choose(prompt.name), primary=True)
            with st.container(horizontal=True, gap="small", horizontal_alignment="right"):
                if prompt.shipped:
                    _button("copy", key, lambda: _copy(prompt))
                else:
                    _button("edit", key, lambda: _EDITED.set(prompt.name))
                    _button("delete", key, lambda: _delete(prompt.name))


def _button(act: str, key: str, do: Callable[[], object], *, primary: bool = False) -> None:
    def attempt() -> None:
        try:
            do()
        except TwoKeysError as error:
            notices.tell_error(error)

    st.button(
        t(f"prompts.{act}"),
        key=f"prompt_{act}_{key}",
        on_click=attempt,
        type="secondary" if primary else "tertiary",
        width="stretch" if primary else "content",
    )


def _form(edited: SavedPrompt | None) -> None:
    """Draw the form of a new prompt, or of the one that is edited."""
    prompt = edited or _BLANK
    keys = Sampling().with_(**prompt.changes)
    title = t("prompts.editing", name=prompt.name) if edited else t("prompts.new")
    suffix = state.key_of(f"prompt_form_{prompt.name}")
    with (
        st.expander(title, icon=":material/edit_note:", expanded=edited is not None, key=f"box_{suffix}"),
        st.form(f"form_{suffix}", border=False),
    ):
        name = st.text_input(t("prompts.name"), value=prompt.name, key=f"name_{suffix}", max_chars=60)
        text = st.text_area(
            t("prompts.text"),
            value=prompt.text,
            key=f"text_{suffix}",
            height=180,
            help=_text_help(),
        )
        role = st.text_area(
            t("prompts.role"), value=prompt.system_prompt or "", key=f"role_{suffix}", height=80
        )
        form = prompt.answer_schema.document if prompt.answer_schema is not None else ""
        schema = st.text_area(t("prompts.schema"), value=form, key=f"schema_{suffix}", height=80)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            sets = st.checkbox(t("prompts.sets"), value="temperature" in prompt.changes, key=f"sets_{suffix}")
            temperature = st.number_input(
                t("prompts.temperature"), 0.0, 2.0, keys.temperature, 0.1, key=f"temperature_{suffix}"
            )
            length = st.number_input(
                t("prompts.length"), 1, 131072, keys.max_new_tokens, 256, key=f"length_{suffix}"
            )
        saved = st.form_submit_button(t("ui.save"), key=f"save_{suffix}", type="primary")
    if saved:
        both: dict[str, Any] = {"temperature": float(temperature), "max_new_tokens": int(length)}
        others = {name: value for name, value in prompt.changes.items() if name not in both}
        made = SavedPrompt(
            name or "", text or "", {**others, **(both if sets else {})}, (role or "").strip() or None
        )
        _save(made, (schema or "").strip(), edited, f"prompt_form_{prompt.name}")


def _text_help() -> str:
    blank, filled = ("{{" + t(f"prompts.text_help_{name}") + "}}" for name in ("blank", "filled"))
    return t("prompts.text_help", blank=f"`{blank}`", filled=f"`{filled}`")


def _save(prompt: SavedPrompt, schema: str, edited: SavedPrompt | None, form: str) -> None:
    try:
        if schema:
            prompt = replace(prompt, answer_schema=AnswerSchema.from_text(schema, prompt.name))
        stored = state.services().prompts.save(prompt, instead_of=edited.name if edited else None)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        _EDITED.drop()
        state.renew(form)
        notices.tell(notices.Notice(t("prompts.saved", name=stored.name)))
    st.rerun()


def _copy(prompt: SavedPrompt) -> None:
    """Make a shipped prompt one's own, to be changed: it then stands in the place of the shipped one."""
    state.services().prompts.save(replace(prompt, shipped=False))
    _EDITED.set(prompt.name)


def _delete(name: str) -> None:
    library = state.services().prompts
    deleted = library.delete(name)

    def bring_back() -> None:
        library.save(deleted)

    notices.offer_undo(t("prompts.deleted", name=name), bring_back)


def _file(has_own: bool) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="prompt_file"):
        if has_own:
            st.download_button(
                t("prompts.export"),
                state.services().prompts.export_toml(),
                file_name="twokeys-prompts.toml",
                mime="application/toml",
                icon=":material/download:",
                key="prompt_export",
                on_click="ignore",
            )
        upload = st.file_uploader(t("prompts.import"), type=["toml"], key="prompt_import")
    if upload is not None and _UPLOADED.get() != upload.file_id:
        _UPLOADED.set(upload.file_id)
        try:
            added = state.services().prompts.import_toml(upload.getvalue().decode("utf-8", errors="replace"))
            notices.tell(notices.Notice(t("prompts.imported", count=len(added))))
        except TwoKeysError as error:
            notices.tell_error(error)
        st.rerun()
