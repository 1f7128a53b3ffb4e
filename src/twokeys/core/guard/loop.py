"""The loop detector: exact cycles and near-repeats, joined to one verdict.

Says where the repetition began and where the answer is still good. Ends nothing itself.
"""

from dataclasses import dataclass
from typing import Any

from twokeys.core.guard.cut import SentenceEnds
from twokeys.core.guard.cycle import Cycle, CycleFinder
from twokeys.core.guard.finding import GuardFinding
from twokeys.core.guard.items import ItemFinder
from twokeys.core.guard.reader import TextPiece
from twokeys.core.guard.repeats import RepeatFinder
from twokeys.core.guard.settings import LEVELS, EventLevel, Level

SLACK = 2
"""A cycle's first equal character may be the full stop before it: so far a cut may lie behind."""

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class _Verdict:
    level: EventLevel
    start: int
    repeat_start: int
    sample: str
    data: dict[str, Any]


class LoopWatch:
    """Feed `cycles` every character and `read` every piece; findings are of kind "loop".

    The owner feeds `cycles` itself, as that happens for every character.
    """

    __slots__ = ("_ends", "_items", "_repeats", "_said", "_said_at", "cycles")

    def __init__(self, ends: SentenceEnds) -> None:
        self.cycles = CycleFinder()
        self._repeats = RepeatFinder()
        self._items = ItemFinder()
        self._ends = ends
        self._said: Level = "off"
        self._said_at = -1

    def heard(self, cycle: Cycle, position: int) -> GuardFinding | None:
        """Take what `cycles` found when the answer was `position` characters long."""
        data = {
            "period_chars": cycle.period,
            "copies": round(cycle.copies, 1),
            "how": "exact" if cycle.exact else "near",
        }
        return self._say(
            _Verdict(cycle.level, cycle.start, cycle.start + cycle.period, cycle.unit, data), position
        )

    def read(self, piece: TextPiece) -> GuardFinding | None:
        """Read one piece."""
        circle = self._items.read(piece)
        repeat = self._repeats.read(piece)
        if circle is not None:
            data = {"period_items": 1, "copies": circle.copies, "how": "items"}
            return self._say(
                _Verdict(circle.level, circle.start, circle.repeat_start, circle.line, data), piece.end
            )
        if repeat is None:
            return None
        data = {"period_sentences": repeat.period, "copies": round(repeat.copies, 1), "how": "near"}
        return self._say(
            _Verdict(repeat.level, repeat.start, repeat.repeat_start, repeat.sentence, data), piece.end
        )

    def _say(self, verdict: _Verdict, position: int) -> GuardFinding | None:
        """Speak once per level and episode: a loop found twice, exact and near, is one loop."""
        if verdict.start <= self._said_at and LEVELS.index(verdict.level) <= LEVELS.index(self._said):
            return None
        self._said, self._said_at = verdict.level, position
        cut = self._ends.before(verdict.repeat_start + SLACK)
        data = verdict.data | {
            "start": verdict.start,
            "repeat_start": verdict.repeat_start,
            "cut_at_char": cut.at_char,
            "cut_suffix": cut.suffix,
            "sample": _shorten(verdict.sample),
        }
        return GuardFinding("loop", verdict.level, position, data)


def _shorten(sample: str) -> str:
    text = " ".join(sample.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
