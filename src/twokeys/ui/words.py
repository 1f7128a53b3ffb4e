"""The language of a tab, and the texts of the screens in it."""

from collections.abc import Mapping

import streamlit as st

from twokeys.errors import TwoKeysError, read_stored
from twokeys.i18n import LANGUAGES, catalogue, negotiate, translate
from twokeys.web.runtime import get_services

LANGUAGE_SETTING = "ui.language"


def language() -> str:
    """Return "zh" or "en": the person's choice, else the browser's."""
    chosen = st.session_state.get("language")
    if chosen not in LANGUAGES:
        chosen = get_services().repository.get_setting(LANGUAGE_SETTING)
    if chosen not in LANGUAGES:
        chosen = negotiate(st.context.locale)
    st.session_state["language"] = chosen
    return str(chosen)


def set_language(code: str) -> None:
    """Switch the language in place and remember it for the next visit."""
    if code in LANGUAGES:
        st.session_state["language"] = code
        get_services().repository.set_setting(LANGUAGE_SETTING, code)


def t(key: str, /, **values: object) -> str:
    """Return a text in the language of this tab."""
    return translate(key, language(), **values)


def error_text(error: Mapping[str, object]) -> tuple[str, str]:
    """Return message and hint of a stored error ({code, params}, or with the sentences in it)."""
    code = str(error.get("code", TwoKeysError.code))
    if "message" in error or f"errors.{code}.text" not in catalogue():
        return str(error.get("message", code)), str(error.get("hint", ""))
    stored = read_stored(error)
    return stored.message(language()), stored.hint(language())
