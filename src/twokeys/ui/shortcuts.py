"""The keys of the keyboard, in one table: for the sheet, the palette and the settings page.

The browser component listens for them (frontend/src/palette.ts and transcript.ts).
"""

from twokeys.ui import looks
from twokeys.ui.words import t
from twokeys.web.component.palette import Shortcut

KEYS: dict[str, str] = {
    "palette": "Mod+K",
    "new": "Mod+Shift+O",
    "prompts": "/",
    "send": "Enter",
    "line": "Shift+Enter",
    "edit": "↑",
    "stop": "Esc",
    "release": "Mod+Alt+X",
    "shortcuts": "Mod+/",
    "shortcuts_too": "?",
}
"""Mod is ⌘ on a Mac and Ctrl elsewhere. No browser uses Mod+Alt+X by itself."""


def sheet() -> list[Shortcut]:
    """Return the lines of the sheet."""
    other = {"send": "Mod+Enter", "line": "Enter"} if looks.send_key() == "ctrl_enter" else {}
    return [Shortcut(keys, t(f"palette.key.{name}")) for name, keys in (KEYS | other).items()]


def plain_keys(keys: str) -> str:
    """Return a shortcut as words for a page that does not know the reader's keyboard."""
    return " + ".join("Ctrl / ⌘" if key == "Mod" else key for key in keys.split("+"))
