"""Small pieces that several screens draw: notes, meters, error cards, headings.

They take values and draw; they read no store but for the language of the tab, and hold no state.
"""

from collections.abc import Callable

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui.format import escape
from twokeys.ui.words import language, t


def html(markup: str) -> None:
    """Draw our own markup. Values in it must have gone through `escape`."""
    st.html(markup)


def note(text: str) -> None:
    """Draw one quiet line of explanation."""
    html(f'<p class="tk-note">{escape(text)}</p>')


def search_box(label: str, *, key: str, placeholder: str | None = None) -> str:
    """Draw a search field without a heading; return what was typed, without space around it."""
    typed = st.text_input(
        label,
        key=key,
        placeholder=placeholder or label,
        icon=":material/search:",
        label_visibility="collapsed",
    )
    return (typed or "").strip()


def section(text: str) -> None:
    """Draw the small heading of a group."""
    html(f'<div class="tk-section" role="heading" aria-level="2">{escape(text)}</div>')


def page_heading(title: str, lead: str) -> None:
    """Draw a page's heading with one sentence under it."""
    html(f'<h1 class="tk-h1">{escape(title)}</h1><p class="tk-lead">{escape(lead)}</p>')


def meter(used: float, coming: float = 0.0, *, label: str) -> str:
    """Return the markup of a thin bar: the share used and the share that comes next (0…1)."""
    used = min(max(used, 0.0), 1.0)
    coming = min(max(coming, 0.0), 1.0 - used)
    full = " full" if used + coming > 0.85 else ""
    return (
        f'<div class="tk-meter{full}" role="img" aria-label="{escape(label)}">'
        f'<i style="width:{used:.1%}"></i><i class="next" style="width:{coming:.1%}"></i></div>'
    )


def bar(share: float | None, *, label: str) -> str:
    """Return the markup of a progress bar; share 0…1, None while unknown."""
    width = min(max(share or 0.0, 0.0), 1.0)
    return (
        f'<div class="tk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{width * 100:.0f}" aria-label="{escape(label)}">'
        f'<i style="width:{width:.1%}"></i></div>'
    )


def error_card(message: str, hint: str) -> None:
    """Draw what failed and the next step."""
    html(f'<div class="tk-error" role="alert"><b>{escape(message)}</b><span>{escape(hint)}</span></div>')


def error(failure: TwoKeysError) -> None:
    """Draw what was raised, in the reader's language, and the next step."""
    error_card(failure.message(language()), failure.hint(language()))


def dismiss(key: str, act: Callable[..., None], *args: object) -> None:
    """Draw the small × that takes away what stands beside it; `act` is called when it is pressed."""
    st.button(
        "",
        key=key,
        type="tertiary",
        icon=":material/close:",
        help=t("ui.dismiss"),
        on_click=act,
        args=args,
    )


def tag(text: str, kind: str = "") -> str:
    """Return the markup of a small label; kind "", "warm" or "plain"."""
    return f'<span class="tk-tag {kind}">{escape(text)}</span>'


def facts(rows: list[tuple[str, str]], *, pairs: int = 1) -> str:
    """Return a list of names and values, `pairs` of them beside each other where there is room."""
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="tk-facts{" two" if pairs > 1 else ""}">{inner}</dl>'
