"""The parts of the writing page: outline, sections, quality, document; and what they share."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st

from twokeys.core.writer.view import ProjectView
from twokeys.errors import TwoKeysError
from twokeys.ui import notices
from twokeys.ui.state import TabValue

OPEN_SECTION = TabValue[str | None]("writing_section", None)
"""The section a person opened, by its id."""


@cache
def style() -> str:
    """Return the style sheet of the page."""
    return files(__package__).joinpath("writing.css").read_text(encoding="utf-8")


def attempt(act: Callable[..., Any], *args: object, **named: object) -> None:
    """Do something with a project, tell when it is refused, and draw the page again."""
    try:
        act(*args, **named)
    except TwoKeysError as error:
        notices.tell_error(error)
    st.rerun()


def signature(view: ProjectView) -> tuple[object, ...]:
    """Return what makes the page be drawn anew while something is being written."""
    states = tuple((section.node.id, section.state, section.current) for section in view.sections)
    extras = tuple((name, extra.state, extra.current) for name, extra in view.extras.items())
    return (view.state, view.doing, states, extras, len(view.outline.nodes), view.elsewhere)
