"""Finds cycles in a stream of characters: the same piece again and again, of any period.

Method: a table remembers where each run of GRAM characters was last seen. When the newest run was
seen before, the distance to it is a candidate period; from then on one comparison per character
tells whether the period still holds. A period that has held for k − 1 times its own length means
k copies. Runs at nearly the same distance with small gaps between them are joined: a copy with one
word changed. Constant work per character (the backward check at a new candidate is capped), and a
fixed window of memory.

How many copies make an alarm depends on what is repeated: three copies of a sentence are a loop,
three rows of "0, 0, 0," are data. Repeats of single sentences, reordered or reworded, are the
business of repeats.py.
"""

from array import array
from collections import deque
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

MAX_SHIFT = 24
"""How much the distance may change at a gap (a word longer, a counter more)."""

MAX_GAP = 48
MIN_JOINED = 16
MIN_HELD = 96
JOINED_MISSES = 0.1
JOINED_MISSES_SURE = 0.05
"""Share of characters in gaps that a joined run may have: to warn in prose, and else."""


LOOSE_KEPT = 6
LOOSE_COPIES = 1.9
LOOSE_HELD = 0.65
LOOSE_PERIOD = 12
"""Small equal runs at about one distance deserve a note when they cover this share of so many copies
beyond the first; periods below LOOSE_PERIOD characters never do. LOOSE_KEPT distances are followed."""

WORDY = 0.4
"""Share of letters in the gaps above which other words stand there."""

OLDER = 6
"""Earlier places looked at when a period breaks: the nearest is the wrong one in a unit with like parts."""

HEALED = 0.25
"""A gap is healed when the copy before the last has the same there as the last: the one between deviated by
accident. With a smaller share of such gaps each copy has words of its own, as in a form that is filled in."""

AROUND = 8
"""Characters on both sides of a gap that are compared with it."""

WORDS_ALONE = 0.015
"""Share of signs up to which a text holds words alone, and neither code nor data."""

ONE_A_COPY = 1.5
"""Gaps in a copy up to which a counter stands there, and no other numbers."""

SHORT_PERIOD = 8
"""Up to this many characters it is a word: four exact copies deserve a note, else three."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A period that holds now: the first copy is answer[start:start + period].

    copies: how often the unit stands there, in parts of a copy. exact: without gaps.
    """

    start: int
    period: int
    copies: float
    level: EventLevel
    unit: str
    exact: bool


@dataclass(frozen=True, slots=True)
class _Need:
    """Copies, and repeated characters (Chinese ones count 2.5), that make a warning and a stop."""

    warn_copies: float
    warn_chars: int
    stop_copies: float
    stop_chars: int


@dataclass(slots=True)
class _Joined:
    """Runs at nearly one distance: from start to end, with so many characters in gaps."""

    start: int
    end: int
    lag: int
    misses: int
    letters: int = 0  # of the characters in gaps
    gaps: int = 0  # from the third copy on
    healed: int = 0  # of them: the copy before the last has the same there

    def fits(self, start: int, lag: int) -> bool:
        return abs(lag - self.lag) <= MAX_SHIFT and start - self.end <= MAX_GAP

    def misses_with(self, start: int, lag: int) -> int:
        return self.misses + max(1, start - self.end) + abs(lag - self.lag)


@dataclass(slots=True)
class _Loose:
    """Equal runs at about one distance, however small: enough for a note, never for a warning."""

    start: int
    end: int
    lag: int
    held: int

    def fits(self, start: int, lag: int) -> bool:
        return abs(lag - self.lag) <= min(MAX_SHIFT, 4 + self.lag // 4) and start - self.end <= max(
            MAX_GAP, lag // 2
        )


class CycleFinder:
    """Feed it characters; it answers with a Cycle when one deserves a note, a warning or a stop."""

    __slots__ = (
        "_chars",
        "_check",
        "_hash",
        "_joined",
        "_lag",
        "_loose",
        "_noted",
        "_older",
        "_position",
        "_seen",
        "_spoken",
        "_start",
        "structured",
    )

    def __init__(self) -> None:
        self._chars = [""] * WINDOW
        self._seen = array("q", [-1]) * _TABLE
        self._older = array("q", [-1]) * WINDOW  # where the run that ended here was seen before
        self._position = 0
        self._hash = 0
        self._lag = 0
        self._start = 0  # the first character that equals the one a period earlier
        self._check = 0.0
        self._spoken = ""
        self._joined = _Joined(0, -MAX_GAP - 1, 0, 0)
        self._loose: deque[_Loose] = deque(maxlen=LOOSE_KEPT)
        self._noted = -1
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
        self._older[position & mask] = self._seen[slot]
        lag = self._lag
        cycle: Cycle | None = None
        if lag and chars[(position - lag) & mask] == char:
            if position + 1 - self._start >= self._check:
                cycle = self._judge(position + 1)
        else:
            if lag:
                cycle = self._loosely(position)
                self._join(position)
                self._lag = 0
                self._resume(position)
            if position >= GRAM and not self._lag:
                self._try(position, self._seen[slot])
                if cycle is None and self._lag and self._check <= position + 1 - self._start:
                    cycle = self._judge(position + 1)
        self._seen[slot] = position
        return cycle

    def _at_lag(self, position: int, wanted: int) -> int:
        """Return where the run that ends here was seen before at about this distance; 0 for nowhere."""
        earlier = position
        for _ in range(OLDER):
            earlier = self._older[earlier & (WINDOW - 1)]
            if earlier < 0 or position - earlier > wanted + MAX_SHIFT:
                return 0
            if position - earlier >= wanted - MAX_SHIFT:
                return earlier
        return 0

    def _resume(self, position: int) -> None:
        """A period broke: go on with a longer one, of which a whole copy stands there."""
        mask, chars, before = WINDOW - 1, self._chars, position - 1
        earlier = before
        for _ in range(OLDER):
            earlier = self._older[earlier & mask]
            lag = before - earlier
            if earlier < 0 or lag > MAX_PERIOD:
                return
            if chars[(earlier + 1) & mask] != chars[position & mask]:
                continue
            at, lowest = before, max(lag, before - lag)
            while at >= lowest and chars[at & mask] == chars[(at - lag) & mask]:
                at -= 1
            if position - at > lag:
                self._joined = _Joined(0, -MAX_GAP - 1, 0, 0)
                self._try(position, earlier + 1)
                return

    def _try(self, position: int, earlier: int) -> None:
        """Adopt the distance to an earlier equal run as the period, and look how long it has held."""
        lag = position - earlier
        if earlier < 0 or lag > MAX_PERIOD:
            return
        joined = self._joined
        if (
            joined.end - joined.start >= MIN_HELD
            and position - joined.end <= MAX_GAP
            and abs(lag - joined.lag) > MAX_SHIFT
        ):
            # a period was just broken: give it the chance to go on before another is taken
            if not (earlier := self._at_lag(position, joined.lag)):
                return
            lag = position - earlier
        chars, mask = self._chars, WINDOW - 1
        at, lowest = position, max(lag, position - _BACK)
        while at >= lowest and chars[at & mask] == chars[(at - lag) & mask]:
            at -= 1
        held = position - at
        if held < GRAM:
            return
        self._lag, self._start = lag, at + 1
        if joined.fits(self._start, lag):
            self._check = held + MIN_JOINED
        else:
            self._spoken = ""
            self._check = max(2.0 * lag, held)

    def _join(self, end: int) -> None:
        """A run ended: add it to the joined runs, or begin them anew."""
        start, lag, joined = self._start, self._lag, self._joined
        if end - start < MIN_JOINED:
            return
        if joined.fits(start, lag):
            misses = joined.misses_with(start, lag)
            gaps, healed = self._gaps_with(start, lag)
            if misses <= JOINED_MISSES * (end - joined.start) + MAX_SHIFT:
                letters = joined.letters + self._letters(joined.end, start)
                self._joined = _Joined(joined.start, end, lag, misses, letters, gaps, healed)
                return
        self._joined = _Joined(start, end, lag, 0)

    def _judge(self, end: int) -> Cycle | None:
        start, lag, joined = self._start, self._lag, self._joined
        held = end - start
        self._check = held + max(1, lag // 4)
        if self._spoken == "stop" or held + lag > WINDOW:
            return None
        exact, misses, filled_in = held >= 2 * lag, 0.0, False
        if not exact:
            if not joined.fits(start, lag):
                self._check = min(max(self._check, 2.0 * lag), held + max(1.0, lag / 2))
                return self._loosely(end)
            start = joined.start
            held = end - start
            misses = joined.misses_with(self._start, lag) / held
            letters = joined.letters + self._letters(joined.end, self._start)
            gaps, healed = self._gaps_with(self._start, lag)
            own_words = letters > WORDY * misses * held or gaps * lag > ONE_A_COPY * (held - lag)
            filled_in = own_words and healed < max(1.0, HEALED * gaps)
            if held < 2.4 * lag or misses > JOINED_MISSES:
                return self._loosely(end)
        unit = self._text(end - lag, end)
        texture = measure(unit)
        need = _needed(unit, texture, self.structured, None if exact else misses, filled_in)
        copies = held / lag + 1
        level: EventLevel
        weight = held * texture.density
        if copies >= need.stop_copies and weight >= need.stop_chars:
            level = "stop"
        elif copies >= need.warn_copies and weight >= need.warn_chars and not self._spoken:
            level = "warn"
        elif exact:
            return self._note(start, end, unit, texture, exact=True)
        else:
            return self._loosely(end)
        self._spoken = level
        self._noted = end
        return Cycle(max(0, start - lag), lag, copies, level, unit, exact)

    def _loosely(self, end: int) -> Cycle | None:
        """Count the run that ends (or stands) here among those at its distance."""
        start, lag = self._start, self._lag
        if end - start < GRAM:
            return None
        loose = next((known for known in self._loose if known.fits(start, lag)), None)
        if loose is None:
            self._loose.append(_Loose(start, end, lag, end - start))
            return None
        loose.held += end - max(start, loose.end)
        loose.end, loose.lag = end, lag
        span = end - loose.start
        if span < LOOSE_COPIES * lag or loose.held < LOOSE_HELD * span or span + lag > WINDOW:
            return None
        copies = self._text(max(0, loose.start - lag), end)
        return self._note(loose.start, end, copies[-lag:], measure(copies), exact=False)

    def _gaps_with(self, start: int, lag: int) -> tuple[int, int]:
        """Return the joined runs' gaps and healed ones, with the gap before a run that begins at `start`."""
        joined = self._joined
        if joined.end < joined.start + lag - AROUND:
            return joined.gaps, joined.healed
        here = self._text(joined.end - AROUND, start + GRAM)
        there = self._text(max(0, joined.end - 2 * lag - MAX_GAP), start - 2 * lag + MAX_GAP)
        return joined.gaps + 1, joined.healed + (here in there)

    def _letters(self, start: int, end: int) -> int:
        return sum(char.isalpha() for char in self._text(start, end)) if end > start else 0

    def _text(self, start: int, end: int) -> str:
        return "".join(self._chars[i & (WINDOW - 1)] for i in range(start, end))

    def _note(self, start: int, end: int, unit: str, texture: Texture, *, exact: bool) -> Cycle | None:
        """Say once that something repeats: worth a mark, and no more. texture: of all copies, or of one."""
        period = len(unit)
        copies = (end - start) / period + 1
        if start <= self._noted or self._spoken or texture.letters < max(1, 0.4 * texture.length):
            return None
        if exact:
            enough = 3.0 if period >= SHORT_PERIOD else 4.0 if period > 1 and not self.structured else 16.0
            if copies < enough:
                return None
        elif self.structured or period < LOOSE_PERIOD or not _reads_as_prose(texture):
            return None
        self._noted = end
        return Cycle(max(0, start - period), period, copies, "note", unit, exact)


def _reads_as_prose(texture: Texture) -> bool:
    return (
        texture.letters + texture.han >= 0.68 * texture.length
        and texture.symbols <= 0.03 * texture.length
        and texture.digits <= 0.1 * texture.length
    )


_NEVER = _Need(1e9, 0, 1e9, 0)
_RULES = frozenset("-=_*#~@.·─━—┄═+|/\\<>^;[](){}%$&:'\" \t\n\u3000")
"""Signs that are drawn in long rows on purpose."""


def _eats_itself(unit: str) -> _Need | None:
    """Return what is too much of a number that grows ("3.1.1.1.1…") or of a row of one sign ("！！！！")."""
    if len(unit) <= 6 and not any(char.isspace() for char in unit):
        signs = set(unit)
        if (
            signs & set(".-、·")
            and any(map(str.isdigit, signs))
            and all(c.isdigit() or c in ".-、·" for c in signs)
        ):
            return _Need(8.0, 12, 20.0, 40)
        if len(signs) == 1 and not unit[0].isalnum() and unit[0] not in _RULES:
            return _Need(30.0, 30, 120.0, 120)
    return None


def _needed(
    unit: str,
    texture: Texture,
    structured: bool,
    misses: float | None,
    filled_in: bool = False,
) -> _Need:
    """Return how much of this unit is too much (found by the proof in benchmarks/guard_proof.py).

    misses: the share of gaps in a joined run, None for an exact one. filled_in: each copy has words of its
    own, as in declarations, bindings and tests.
    """
    if misses is None and (eaten := _eats_itself(unit)) is not None:
        return eaten
    variety = len({unit[i : i + 4] for i in range(len(unit))})
    if texture.han > 0.3 * texture.length:
        variety *= 2
    plain = texture.letters < 0.3 * len(unit) or len(set(unit)) < 2
    prose = not structured and texture.symbols <= 0.06 * len(unit) and texture.digits <= 0.12 * len(unit)
    if misses is not None:
        sure = misses <= JOINED_MISSES_SURE
        if plain or variety < 60 or not (prose or sure):
            return _NEVER
        if filled_in and (structured or texture.symbols > WORDS_ALONE * len(unit)):
            return _Need(24.0 if structured or not prose else 5.0, 0, 1e9, 0)
        if prose:
            return _Need(3.4, 0, 6.0, 600) if sure and variety >= 120 else _Need(3.4, 0, 12.0, 1500)
        # listings: rows alike but for their numbers
        return _Need(3.3 if texture.digits <= 0.1 * len(unit) else 7.0, 0, 12.0, 2000)
    if plain:
        return _Need(6.0, 400, 10.0, 2000)  # rules, zeros, dots, blank lines
    if prose and variety >= 24:
        return _Need(3.0, 0, 6.0 if variety < 120 else 3.5, 0)
    if prose and variety >= 8:
        return _Need(3.5, 24, 6.0, 120)
    if prose:
        return _Need(7.0, 20, 12.0, 160)  # la la la
    if variety >= 120:
        return _Need(3.0, 0, 5.0, 0)
    if variety >= 40:
        return _Need(3.7, 0, 10.0, 600)
    return _Need(8.0, 200, 24.0, 1000)
