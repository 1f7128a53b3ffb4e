"""Reads along in the message box: the draft comes back whenever a person pauses. Draws nothing.

Streamlit's chat input sends its text only when it is submitted. A draft is cut to LONGEST characters.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from twokeys.web.component import Action, draw_component

PAUSE_MS = 600
LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """What the message box is to show, once for each token."""

    text: str
    token: str


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Where files that are dropped or pasted go.

    chooser: CSS selector of a file chooser's input. max_bytes: a larger file is not uploaded. long_paste: a
    pasted text of so many characters is told.
    """

    chooser: str
    max_bytes: int
    long_paste: int


def draft_reader(
    box: str,
    *,
    key: str,
    on_action: Callable[[Action], None],
    show: Shown | None = None,
    files: FileTarget | None = None,
    ctrl_enter: bool = False,
) -> None:
    """Read along in the text area that the CSS selector `box` names; on_action runs before the script.

    Its types: draft (text), pasted (text), refused (reason: "folder" or "too_large", text: the file's name,
    data: size). ctrl_enter: Enter begins a new line, and Ctrl or ⌘ with it sends.
    """
    data = {
        "box": box,
        "pause_ms": PAUSE_MS,
        "longest": LONGEST,
        "show": asdict(show) if show is not None else None,
        "files": asdict(files) if files is not None else None,
        "ctrl_enter": ctrl_enter,
    }
    draw_component("draft", data, key=key, on_action=on_action)
