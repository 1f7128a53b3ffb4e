"""The page around the components: cursor, a phone's sidebar, the framework's words. Draws nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from twokeys.web.component import draw_component


@dataclass(frozen=True, slots=True)
class Focus:
    """Where the cursor goes, on a desk: a CSS selector, once for each token.

    With another `again` it goes there once more, but only where it is nowhere, as after a dialog.
    """

    selector: str
    token: str
    again: int = 0


def shell(*, focus: Focus | None, closes: str, words: Mapping[str, str], key: str, theme: str = "") -> None:
    """Look after the page.

    closes: a CSS selector; what is chosen there closes the sidebar on a phone. words: texts of the framework
    and what stands there instead; a text that ends in "…" is the beginning of one. theme: "system", "light"
    or "dark", put into force in this browser; "" leaves it as it is.
    """
    data: dict[str, Any] = {
        "focus": asdict(focus) if focus is not None else None,
        "closes": closes,
        "words": dict(words),
        "theme": theme,
    }
    draw_component("shell", data, key=key, on_action=None)
