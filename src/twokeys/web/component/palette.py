"""The palette and the sheet of shortcuts: over everything, opened by the keyboard. Draws nothing in the page.

What is stored it asks of `web/find.py` by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from twokeys.web.component import Action, draw_component


@dataclass(frozen=True, slots=True)
class PaletteItem:
    """Something to choose. words: more words by which it is found. keys: its shortcut, "Mod+Shift+O".

    note: what stands below its title. A "form" stands in the menu of "/" alone.
    """

    kind: str
    id: str
    title: str
    words: str = ""
    keys: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A line of the sheet. "Mod" is ⌘ on a Mac and Ctrl elsewhere."""

    keys: str
    text: str


def palette(
    items: Sequence[PaletteItem],
    shortcuts: Sequence[Shortcut],
    *,
    texts: Mapping[str, str],
    language: str,
    key: str,
    on_action: Callable[[Action], None],
) -> None:
    """Listen for the shortcuts and show the palette; on_action runs before the script.

    Its types are the kinds of items, `text` their id; a conversation may have `message` and, in data,
    `words`. A command comes from its shortcut too.
    """
    data = {
        "items": [asdict(item) for item in items],
        "shortcuts": [asdict(shortcut) for shortcut in shortcuts],
        "texts": dict(texts),
        "lang": language,
    }
    draw_component("palette", data, key=key, on_action=on_action)
