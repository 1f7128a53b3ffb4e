"""Follows how an answer wears out: more repeated from earlier, less that is new, more padding.

Per segment of prose (SEGMENT units; a unit is a word, or one Chinese character):
rep = share of GRAM-grams that stood earlier in this answer (the incremental form of
rep-n = 1 − unique/total, F11); new = share of units never used before in it; pad = padding phrases.
The change point is where a CUSUM of rep over the answer's own beginning began to rise.

Code, tables and number rows are left out. Old n-grams may be forgotten in very long answers: the
tables have a fixed size.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from twokeys.core.guard.finding import GuardFinding
from twokeys.core.guard.reader import TextPiece
from twokeys.core.guard.settings import EventLevel

SEGMENT = 120
GRAM = 5
MAX_POINTS = 128
ALLOWANCE = 0.2
WARN_SUM = 1.2
SEVERE_SUM = 4.0
_TABLE = 1 << 15
_UNIT = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\W\d_\u2e80-\u9fff\uf900-\ufaff]+")
_PADDING = re.compile(
    r"总之|总而言之|综上所述|综上|总的来说|总体而言|值得注意的是|需要注意的是|众所周知|不可否认|由此可见|"
    r"\b(?:in conclusion|in summary|to sum up|overall|it is (?:important|worth noting|essential) (?:to|that)|"
    r"as (?:mentioned|stated|noted) (?:above|earlier|before)|needless to say|all in all)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Point:
    """One segment: ends at answer[at_char]. rep, new: shares 0…1. pad: padding phrases."""

    at_char: int
    rep: float
    new: float
    pad: int


class Decay:
    """Feed it pieces; `points` is the series, `downhill_at` the change point in characters."""

    __slots__ = (
        "_baseline",
        "_cusum",
        "_grams",
        "_last",
        "_rise_at",
        "_said",
        "_seen_rep",
        "_segment",
        "_units",
        "downhill_at",
        "points",
    )  # fmt: skip

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.downhill_at: int | None = None
        self._grams = array("L", [0]) * _TABLE
        self._units = array("L", [0]) * _TABLE
        self._last: list[int] = []
        self._segment = [0, 0, 0, 0]  # units, repeated n-grams, new units, padding
        self._seen_rep: list[float] = []
        self._baseline = 0.0
        self._cusum = 0.0
        self._rise_at: int | None = None
        self._said = ""

    def read(self, piece: TextPiece) -> Iterator[GuardFinding]:
        """Read one piece."""
        if piece.fence or piece.is_fence or piece.is_table or piece.is_code or not piece.texture.is_prose:
            return
        segment = self._segment
        segment[3] += len(_PADDING.findall(piece.text))
        for unit in _UNIT.findall(piece.text.lower()):
            code = crc32(unit.encode("utf-8", "replace")) or 1
            segment[0] += 1
            segment[2] += _mark(self._units, code)
            self._last.append(code)
            if len(self._last) > GRAM:
                del self._last[0]
            if len(self._last) == GRAM:
                gram = 0
                for part in self._last:
                    gram = (gram * 0x9E3779B1 + part) & 0xFFFFFFFF
                segment[1] += not _mark(self._grams, gram or 1)
            if segment[0] == SEGMENT:
                yield from self._close(piece.end)
                segment = self._segment

    def to_dict(self, offset: int = 0) -> dict[str, Any]:
        """Return the series as [at_char, rep, new, pad] rows, and the change point, both moved by offset."""
        rows = [[p.at_char + offset, round(p.rep, 3), round(p.new, 3), p.pad] for p in self.points]
        downhill_at = None if self.downhill_at is None else self.downhill_at + offset
        return {"series": rows, "downhill_at": downhill_at}

    def _close(self, at_char: int) -> Iterator[GuardFinding]:
        units, repeated, new, pad = self._segment
        self._segment = [0, 0, 0, 0]
        self._add(Point(at_char, repeated / units, new / units, pad))
        rep = repeated / units
        if len(self._seen_rep) < 3:
            self._seen_rep.append(rep)
            self._baseline = min(0.3, sorted(self._seen_rep)[len(self._seen_rep) // 2])
        before = self._cusum
        self._cusum = max(0.0, before + rep - self._baseline - ALLOWANCE)
        if before == 0.0 and self._cusum > 0.0:
            self._rise_at = self.points[-2].at_char if len(self.points) > 1 else 0
        level: EventLevel | None = None
        if self._cusum >= WARN_SUM:
            level = "stop" if self._cusum >= SEVERE_SUM else "warn"
        if self._cusum == 0.0:
            self._rise_at = None
        if level is None or self._said == "stop" or self._said == level:
            return
        self._said = level
        if self.downhill_at is None:
            self.downhill_at = self._rise_at
        data = {"downhill_at": self._rise_at, "rep": round(rep, 3), "new": round(new / units, 3)}
        yield GuardFinding("decay", level, at_char, data)

    def _add(self, point: Point) -> None:
        """Keep at most MAX_POINTS: then pairs are averaged, as a longer answer needs a coarser line."""
        self.points.append(point)
        if len(self.points) < MAX_POINTS:
            return
        self.points = [
            Point(b.at_char, (a.rep + b.rep) / 2, (a.new + b.new) / 2, a.pad + b.pad)
            for a, b in zip(self.points[::2], self.points[1::2], strict=True)
        ]


def _mark(table: "array[int]", code: int) -> bool:
    """Put the code into the table; return whether it was not there."""
    slot = (code ^ code >> 15) & (_TABLE - 1)
    if table[slot] == code:
        return False
    table[slot] = code
    return True
