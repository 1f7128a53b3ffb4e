"""What the guard noticed while a text was written, as markup: for sections and the answers of a study.

Draws nothing and fetches nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from twokeys.core.guard import describe
from twokeys.types import GuardEvent
from twokeys.ui import words
from twokeys.ui.format import escape
from twokeys.ui.words import t


def events_markup(stored: Iterable[Mapping[str, Any]]) -> str:
    """Return the stored events as a list with their levels and what was seen; empty without any."""
    rows = []
    for values in stored:
        event = GuardEvent(**values)
        sentence = describe(event, words.language())
        level = t(f"guard.events.levels.{event.level}")
        line = t("guard.events.line", level=level, token=event.at_token, title=sentence.title)
        rows.append(f"<li>{escape(line)}<br><span class='tk-under'>{escape(sentence.detail)}</span></li>")
    return f'<div class="tk-note"><ul>{"".join(rows)}</ul></div>' if rows else ""
