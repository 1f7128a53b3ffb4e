"""Counts, and text that is safe in our HTML and in Streamlit's labels. Pure; sizes are in `units`."""

import html


def count_text(number: int | float) -> str:
    """Return a whole number with thousands separated by a thin space (from 10 000 on)."""
    whole = int(number)
    return f"{whole:,}".replace(",", "\u2009") if abs(whole) >= 10_000 else str(whole)


def escape(text: str) -> str:
    """Return text that is safe inside our own HTML."""
    return html.escape(text, quote=True)


def markdown_label(text: str) -> str:
    """Return text that Streamlit's labels show literally: its Markdown marks are escaped."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~$:" else c for c in flat)
