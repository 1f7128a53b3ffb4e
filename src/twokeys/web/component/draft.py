"""Reads along in the message box: the draft comes back whenever a person pauses. Draws nothing.

Streamlit's chat input sends its text only when it is submitted. What comes is cut to LONGEST characters.
"""

from collections.abc import Callable

from twokeys.web.component import draw_component

PAUSE_MS = 600
LONGEST = 100_000


def draft_reader(box: str, *, key: str, on_draft: Callable[[str], None]) -> None:
    """Read along in the text area that the CSS selector `box` names; on_draft runs before the script."""
    data = {"box": box, "pause_ms": PAUSE_MS, "longest": LONGEST}
    draw_component("draft", data, key=key, on_action=lambda action: on_draft((action.text or "")[:LONGEST]))
