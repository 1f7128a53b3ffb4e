"""Finds lists and tables that go in circles: one item numbered on and on, one row again and again.

Works on whole lines, so that a list of short items, far below what counts as a repeated sentence, is
noticed at its third copy. Numbers are left out of the comparison; they are what changes in such a
list. Sentences and exact cycles are the business of repeats.py and cycle.py.
"""

import re
from collections import deque
from dataclasses import dataclass

from twokeys.core.guard.reader import TextPiece
from twokeys.core.guard.settings import EventLevel

WINDOW = 8
"""Items among which copies are counted: a list may go round two or three items."""

NUMBERED_WARN, NUMBERED_STOP = 3, 7
ROWS_WARN, ROWS_STOP = 5, 8
"""Copies of one item (of one table row) among the last WINDOW that make a warning and a stop."""

MAX_LINE = 400
_NUMBER = re.compile(
    r"^\s*(?:\*\*)?(?:[(（]?\d{1,4}(?:\s*[.)、．）:：]|(?=\s*[-–—]\s))|[(（]?[一二三四五六七八九十百]{1,4}[)、．）]"
    r"|第\s*\d+\s*[条章节项]\s*[.:：、]?)(?!\d)\s*"
)
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Circle:
    """Lines that come again. start: where the first of the copies begins; repeat_start: the second."""

    start: int
    repeat_start: int
    copies: int
    level: EventLevel
    line: str


@dataclass(frozen=True, slots=True)
class _Item:
    key: str
    start: int


class ItemFinder:
    """Feed it pieces; it answers with a Circle when one deserves a warning or a stop."""

    __slots__ = ("_items", "_line", "_line_start", "_others", "_spoken")

    def __init__(self) -> None:
        self._line: list[str] = []
        self._line_start = 0
        self._items: deque[_Item] = deque(maxlen=WINDOW)
        self._others = 0
        self._spoken = ""

    def read(self, piece: TextPiece) -> Circle | None:
        """Read one piece; a line is judged when it is over."""
        if piece.fence or piece.is_fence:
            self._forget()
            return None
        if piece.line_start or not self._line:
            self._line, self._line_start = [], piece.start
        self._line.append(piece.text)
        if piece.ends not in ("line", "open"):
            return None
        line, self._line = "".join(self._line), []
        return self._judge(line, is_row=piece.is_table)

    def _forget(self) -> None:
        self._items.clear()
        self._line = []
        self._spoken = ""

    def _judge(self, line: str, *, is_row: bool) -> Circle | None:
        body = line.strip()
        if not body:
            return None
        is_row = is_row and body.endswith("|")
        marker = None if is_row else _NUMBER.match(body)
        if len(body) > MAX_LINE or not (is_row or marker):
            self._others += 1
            if self._others > 2:
                self._forget()
            return None
        self._others = 0
        key = (
            _row_key(body)
            if is_row
            else " ".join(_LETTERS.findall(body[marker.end() :].lower() if marker else ""))
        )
        if not key:
            return None
        item = _Item(("|" if is_row else "#") + key, self._line_start)
        self._items.append(item)
        same = [other for other in self._items if other.key == item.key]
        warn, stop = (ROWS_WARN, ROWS_STOP) if is_row else (NUMBERED_WARN, NUMBERED_STOP)
        level: EventLevel
        if len(same) >= stop:
            level = "stop"
        elif len(same) >= warn and self._in_circles():
            level = "warn"
        else:
            if len(same) == 1 and not self._in_circles():
                self._spoken = ""
            return None
        if self._spoken in (level, "stop"):
            return None
        self._spoken = level
        return Circle(same[0].start, same[1].start, len(same), level, body)

    def _in_circles(self) -> bool:
        """Whether most of the recent items have been there before."""
        recent = list(self._items)[-6:]
        return len({item.key for item in recent}) <= len(recent) / 2


def _row_key(row: str) -> str:
    """Return the cells but for a counter in the first; "" for the rule under the heading."""
    cells = [cell.strip().lower() for cell in row.strip("|").split("|")]
    if len(cells) > 1 and cells[0].rstrip(".").isdigit():
        del cells[0]
    return "|".join(cells) if any(map(str.isalpha, row)) else ""
