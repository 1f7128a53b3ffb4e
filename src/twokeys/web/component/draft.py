"""Reads along in the message box: the draft comes back whenever a person pauses. Draws nothing.

Streamlit's chat input sends its text only when it is submitted. What comes is cut to LONGEST characters.
"""

from collections.abc import Callable
from dataclasses import dataclass

from twokeys.web.component import draw_component

PAUSE_MS = 600
LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Shown:
    """What the message box is to show, once for each token."""

    text: str
    token: str


def draft_reader(box: str, *, key: str, on_draft: Callable[[str], None], show: Shown | None = None) -> None:
    """Read along in the text area that the CSS selector `box` names; on_draft runs before the script."""
    wanted = {"text": show.text, "token": show.token} if show is not None else None
    data = {"box": box, "pause_ms": PAUSE_MS, "longest": LONGEST, "show": wanted}
    draw_component("draft", data, key=key, on_action=lambda action: on_draft((action.text or "")[:LONGEST]))
