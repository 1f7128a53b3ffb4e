"""Finds near-repeats of sentences and list items: the same said again with a word changed.

Each sentence of prose becomes a small set of hashed word pairs (for Chinese: character pairs); two
sentences are near-equal when their sets overlap enough. The last REMEMBERED sentences are compared,
so work per sentence and memory are bounded. Tables, code, logs and number rows are not looked at.
"""

import re
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from twokeys.core.guard.reader import ENDS_ANYWHERE, ENDS_BEFORE_SPACE, TextPiece
from twokeys.core.guard.settings import EventLevel

REMEMBERED = 96
SKETCH = 32
NEAR = 0.6
NEAR_LINE = 0.8
"""Lines without a full stop (list items, entries) are alike by nature: more must be equal."""

MAX_MISSES = 0.2
"""Share of sentences that may differ from those a period before: a refrain has new verses between."""

MAX_HEADING = 200
"""Characters kept of the short lines before a sentence."""

MAX_STRUCTURED = 0.2
"""Share of code, markup and numbers among the repeating text above which it is no prose."""

SENTENCE_ENDS = ENDS_ANYWHERE | ENDS_BEFORE_SPACE
_TOKEN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\W\d_\u2e80-\u9fff\uf900-\ufaff]+")
_CODE = re.compile(
    r"::|->|=>|\(\)|\w_\w|;\s*$|[{(\\<]\s*$|^\s*(?://|/\*|\*/|#|--|%|[\"'<@|\[{])"
    r"|(?:[a-z][A-Z]|\w\.[a-z]|\w/\w).*(?:[a-z][A-Z]|\w\.[a-z]|\w/\w)"
)
_MARKER = re.compile(
    r"^\s*(?:[-*+•>]\s|[(（]?\d{1,3}[.)、．）:：]|[(（]?[一二三四五六七八九十百]{1,4}[)、．）])\s*"
)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Sentences that come again. start: where the first copy begins; repeat_start: the second.

    period: sentences per copy, 0 when they come in no order. copies: how often.
    """

    start: int
    repeat_start: int
    period: int
    copies: float
    level: EventLevel
    sentence: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    sketch: frozenset[int]
    heading: str  # the short lines between the sentence before and this one
    start: int
    end: int
    structured: int  # characters of code and the like up to here
    weight: float
    matches: int  # bit m: near-equal to the sentence m before
    text: str


class RepeatFinder:
    """Feed it pieces; it answers with a Repeat when one deserves a warning or a stop."""

    __slots__ = ("_heading", "_recent", "_spoken", "_structured")

    def __init__(self) -> None:
        self._structured = 0
        self._heading = ""
        self._recent: deque[_Sentence] = deque(maxlen=REMEMBERED)
        self._spoken = ""

    def read(self, piece: TextPiece) -> Repeat | None:
        """Read one piece."""
        texture = piece.texture
        if piece.fence or piece.is_fence or piece.is_table or piece.is_code or _CODE.search(piece.text):
            self._structured += texture.length
            self._pass_over(piece)
            return None
        if not texture.is_prose:
            # a short word or name between sentences is neither prose nor structure
            self._structured += (
                texture.length if texture.words > 2 or texture.letters * 2 < texture.length else 0
            )
            self._pass_over(piece)
            return None
        tokens = _TOKEN.findall(_MARKER.sub("", piece.text).lower())
        if len(tokens) < 4 or (texture.han == 0 and texture.letters < 16):
            self._pass_over(piece)
            return None
        sketch = _sketch(tokens)
        matches = 0
        least = NEAR_LINE if piece.ends == "line" and piece.text.rstrip()[-1:] not in SENTENCE_ENDS else NEAR
        for distance, other in enumerate(reversed(self._recent), start=1):
            if _near(sketch, other.sketch, least) and not _differ(self._heading, other.heading):
                matches |= 1 << distance
        self._recent.append(
            _Sentence(
                sketch,
                self._heading,
                piece.start,
                piece.end,
                self._structured,
                texture.weight,
                matches,
                piece.text.strip(),
            )
        )
        self._heading = ""
        if not matches:
            self._spoken = ""
            return None
        return self._judge(matches)

    def _pass_over(self, piece: TextPiece) -> None:
        """Remember a line that is no sentence: under other headings the same sentence is a template."""
        if piece.ends == "line" and piece.texture.letters:
            self._heading = (self._heading + " ".join(_TOKEN.findall(piece.text.lower())))[:MAX_HEADING]

    def _judge(self, matches: int) -> Repeat | None:
        if self._spoken == "stop":
            return None
        best = self._ordered(matches) or self._unordered()
        if best is None or (best.level == "warn" and self._spoken):
            return None
        self._spoken = best.level
        return best

    def _ordered(self, matches: int) -> Repeat | None:
        """Look for the smallest period m at which the sentences before repeat too."""
        recent = list(self._recent)
        last = len(recent) - 1
        tried = 0
        for period in range(1, REMEMBERED // 2):
            if not matches >> period & 1:
                continue
            tried += 1
            if tried > 4:
                break
            hits = misses = 0
            first = last + 1
            for at in range(last, period - 1, -1):
                if recent[at].matches >> period & 1:
                    hits += 1
                    if misses <= MAX_MISSES * (hits + misses):
                        first = at
                else:
                    misses += 1
                    if misses > 2 + hits // 4:
                        break
            copies = (last + 1 - first) / period + 1
            weight = sum(s.weight for s in recent[last + 1 - period :])
            level = _level(copies, weight)
            if level and self._is_prose_since(recent[first - period]):
                start = recent[first - period].start
                return Repeat(start, recent[first].start, period, copies, level, recent[last].text)
        return None

    def _is_prose_since(self, first: _Sentence) -> bool:
        length = self._recent[-1].end - first.start
        return self._structured - first.structured <= MAX_STRUCTURED * length

    def _unordered(self) -> Repeat | None:
        """Nearly all recent sentences were said before, in whatever order."""
        recent = list(self._recent)
        hits = misses = 0
        weight = 0.0
        first = len(recent)
        for at in range(len(recent) - 1, -1, -1):
            if recent[at].matches:
                hits += 1
                weight += recent[at].weight
                first = at
            else:
                misses += 1
                if misses > hits // 8:
                    break
        if not hits or not self._is_prose_since(recent[first]):
            return None
        level: EventLevel
        if hits >= 24 and weight >= 1200:
            level = "stop"
        elif hits >= 8 and weight >= 400:
            level = "warn"
        else:
            return None
        return Repeat(recent[first].start, recent[first].start, 0, 0.0, level, recent[-1].text)


def _level(copies: float, weight: float) -> EventLevel | None:
    """weight: Latin-equivalent letters of one copy."""
    if (copies >= 6 and weight * copies >= 600) or (copies >= 8 and weight * copies >= 300):
        return "stop"
    return "warn" if copies >= 3 and weight * copies >= (240 if copies < 4 else 150) else None


def _sketch(tokens: list[str]) -> frozenset[int]:
    pairs = {crc32(f"{a} {b}".encode("utf-8", "replace")) for a, b in pairwise(tokens)}
    return frozenset(sorted(pairs)[:SKETCH])


def _differ(heading: str, other: str) -> bool:
    return heading != other and bool(heading) and bool(other)


def _near(a: frozenset[int], b: frozenset[int], least: float) -> bool:
    shared = len(a & b)
    return shared >= least * (len(a) + len(b) - shared)
