"""Loops in the text of a section that has ended: shorter ones than the guard ends in a stream. Pure.

The guard reads along anything, so it lets numbers and lists repeat for hundreds of characters. A section
is prose of a known length and may be shorter than that: "3.1.1.1.1.1…" over four lines is no text.
Code, tables and formulas are left alone.
"""

import re
from collections import Counter

from twokeys.core.guard import Guard
from twokeys.core.metrics import repetition, text_tokens

HIGH_REPETITION = 0.3
"""Share of repeated n-grams (rep-n) from which a section goes in circles even where no sentence repeats."""

FEW_TOKENS = 60
"""Below that rep-n says nothing."""

_RUNS = (
    # unit, then that many more copies of it at least
    re.compile(r"(\w)\1{15,}"),
    re.compile(r"((?=\d*[.,、 -])[\d.,、 -]{2,6}?)\1{5,}"),
    re.compile(r"(.{2,6}?)\1{7,}", re.DOTALL),
    re.compile(r"(.{7,24}?)\1{3,}", re.DOTALL),
    re.compile(r"(.{25,200}?)\1{2,}", re.DOTALL),
)
_LEFT_ALONE = re.compile(
    r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)|^[ \t]*\|.*$|`[^`\n]+`|\$[^$\n]+\$|\\\(.*?\\\)|\\\[.*?\\\]",
    re.DOTALL | re.MULTILINE,
)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)、．])[ \t]*(?P<item>\S.*?)[ \t]*$", re.MULTILINE)
_SAME_ITEM = 3
_MOSTLY = 0.6


def find_loop(text: str) -> int | None:
    """Return where a text begins to repeat itself: all before it can stay. None: it does not."""
    masked = _masked(text)
    places = [place for place in (_run(masked), _items(masked), _noticed(text)) if place is not None]
    return min(places, default=None)


def goes_in_circles(text: str, n: int) -> bool:
    """Return whether most of a text stood before within it, by its rep-n (F11)."""
    tokens = text_tokens(text)
    return len(tokens) >= FEW_TOKENS and repetition(tokens, n) >= HIGH_REPETITION


def _run(text: str) -> int | None:
    """Where the second copy of a unit begins that stands there again and again."""
    places = []
    for pattern in _RUNS:
        for match in pattern.finditer(text):
            if any(char.isalnum() for char in match[1]):
                places.append(match.start() + len(match[1]))
                break
    return min(places, default=None)


def _items(text: str) -> int | None:
    """Where a list begins to name again what it has named, when it does little else from there on."""
    items = list(_ITEM.finditer(text))
    counts = Counter(match["item"] for match in items)
    seen: set[str] = set()
    for at, match in enumerate(items):
        if match["item"] in seen and counts[match["item"]] >= _SAME_ITEM:
            again = sum(counts[later["item"]] > 1 for later in items[at:])
            if again >= _MOSTLY * (len(items) - at):
                return match.start()
        seen.add(match["item"])
    return None


def _noticed(text: str) -> int | None:
    """Where the guard would have cut, had it read the whole."""
    guard = Guard({"decay": "off", "drift": "off", "stall": "off", "uncertainty": "off"})
    guard.on_token(text, len(text), len(text))
    return guard.cut.at_char if guard.cut is not None else None


def _masked(text: str) -> str:
    """Put signs that never repeat in the place of what is left alone; every place stays."""
    return _LEFT_ALONE.sub(
        lambda match: "".join(chr(0xE000 + (match.start() + i) % 6400) for i in range(len(match[0]))), text
    )
