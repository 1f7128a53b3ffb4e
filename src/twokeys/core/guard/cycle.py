"""Finds exact cycles in a stream of characters: the same piece again and again, of any period.

Method: a table remembers where each run of GRAM characters was last seen. When the newest run was
seen before, the distance to it is a candidate period; from then on one comparison per character
tells whether the period still holds. A period that has held for k − 1 times its own length means
k copies. Constant work per character (the backward check at a new candidate is capped), and a
fixed window of memory.

How many copies make an alarm depends on what is repeated: three copies of a sentence are a loop,
three rows of "0, 0, 0," are data. Near-repeats are the business of repeats.py.
"""

from array import array
from dataclasses import dataclass

from twokeys.core.guard.script import Texture, measure
from twokeys.core.guard.settings import EventLevel

MAX_PERIOD = 4096
"""Longest period in characters (about 800 English or 2500 Chinese tokens)."""

WINDOW = 16384
GRAM = 6
_TABLE = 1 << 15
_BACK = 4096
_MULTIPLIER = 0x5BD1E995
_MASK = (1 << 61) - 1
_DROP = pow(_MULTIPLIER, GRAM, 1 << 61)


@dataclass(frozen=True, slots=True)
class Cycle:
    """A period that holds now: the first copy is answer[start:start + period].

    copies: how often the unit stands there, in parts of a copy. level: "warn" or "stop".
    """

    start: int
    period: int
    copies: float
    level: EventLevel
    unit: str


@dataclass(frozen=True, slots=True)
class _Need:
    """Copies and repeated characters that make a warning and a stop."""

    warn_copies: float
    warn_chars: int
    stop_copies: float
    stop_chars: int


class CycleFinder:
    """Feed it characters; it answers with a Cycle when one deserves a warning or a stop."""

    __slots__ = ("_chars", "_check", "_hash", "_lag", "_position", "_seen", "_spoken", "_start", "structured")

    def __init__(self) -> None:
        self._chars = [""] * WINDOW
        self._seen = array("q", [-1]) * _TABLE
        self._position = 0
        self._hash = 0
        self._lag = 0
        self._start = 0  # the first character that equals the one a period earlier
        self._check = 0.0
        self._spoken = ""
        self.structured = False
        """Set by the owner: the stream is inside a code fence or a table."""

    def feed(self, char: str) -> Cycle | None:
        """Read one character."""
        position, chars = self._position, self._chars
        mask = WINDOW - 1
        chars[position & mask] = char
        self._position = position + 1
        value = self._hash * _MULTIPLIER + ord(char) + 1
        if position >= GRAM:
            value -= (ord(chars[(position - GRAM) & mask]) + 1) * _DROP
        self._hash = value = value & _MASK
        slot = (value ^ (value >> 29)) & (_TABLE - 1)
        lag = self._lag
        found: Cycle | None = None
        if lag and chars[(position - lag) & mask] == char:
            if position + 1 - self._start >= self._check:
                found = self._judge(position + 1)
        else:
            if lag:
                self._lag = 0
            if position >= GRAM:
                self._try(position, self._seen[slot])
        self._seen[slot] = position
        return found

    def _try(self, position: int, earlier: int) -> None:
        """Adopt the distance to an earlier equal run as the period, and look how long it has held."""
        lag = position - earlier
        if earlier < 0 or lag > MAX_PERIOD:
            return
        chars, mask = self._chars, WINDOW - 1
        at, lowest = position, max(lag, position - _BACK)
        while at >= lowest and chars[at & mask] == chars[(at - lag) & mask]:
            at -= 1
        held = position - at
        if held < GRAM:
            return
        self._lag, self._start, self._spoken = lag, at + 1, ""
        self._check = max(2.0 * lag, held + 1)

    def _judge(self, end: int) -> Cycle | None:
        held, lag = end - self._start, self._lag
        self._check = held + max(1.0, lag / 4)
        if self._spoken == "stop" or held + lag > WINDOW:
            return None
        unit = "".join(self._chars[i & (WINDOW - 1)] for i in range(end - lag, end))
        need = _needed(unit, measure(unit), self.structured)
        copies = held / lag + 1
        if copies >= need.stop_copies and held >= need.stop_chars:
            level = "stop"
        elif copies >= need.warn_copies and held >= need.warn_chars and not self._spoken:
            level = "warn"
        else:
            return None
        self._spoken = level
        return Cycle(self._start - lag, lag, copies, level, unit)


def _needed(unit: str, texture: Texture, structured: bool) -> _Need:
    """Return how much of this unit is too much (found by the proof in benchmarks/guard_proof.py)."""
    variety = len({unit[i : i + 4] for i in range(len(unit))})
    if texture.letters < 0.3 * len(unit) or len(unit) == 1 or len(set(unit)) < 3:
        return _Need(6.0, 400, 10.0, 2000)  # rules, zeros, dots, blank lines
    prose = not structured and texture.symbols <= 0.06 * len(unit) and texture.digits <= 0.12 * len(unit)
    if prose and variety >= 24:
        return _Need(3.0, 0, 4.0 if variety < 120 else 3.5, 0)
    if prose and variety >= 8:
        return _Need(3.5, 24, 6.0, 120)
    if prose:
        return _Need(3.6, 8, 10.0, 120)
    if variety >= 120:
        return _Need(3.0, 0, 5.0, 0)
    if variety >= 40:
        return _Need(4.0, 0, 10.0, 600)
    return _Need(8.0, 200, 24.0, 1000)
