"""Which writing system a character belongs to, and what a piece of text looks like.

Knows code point ranges only; no dictionaries and no language models.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

# (first code point, script); each range lasts until the next entry. "" is neither a letter of
# interest nor a sign of drift (digits, punctuation, symbols, emoji, private use).
_RANGES: tuple[tuple[int, str], ...] = (
    (0x0000, ""), (0x0041, "latin"), (0x005B, ""), (0x0061, "latin"), (0x007B, ""),
    (0x00AA, "latin"), (0x00AB, ""), (0x00BA, "latin"), (0x00BB, ""), (0x00C0, "latin"), (0x00D7, ""),
    (0x00D8, "latin"), (0x00F7, ""), (0x00F8, "latin"), (0x02B0, ""), (0x0370, "greek"), (0x0400, "cyrillic"),
    (0x0530, "armenian"), (0x0590, "hebrew"), (0x0600, "arabic"), (0x0700, "other"), (0x0750, "arabic"),
    (0x0780, "other"), (0x08A0, "arabic"), (0x0900, "devanagari"), (0x0980, "other"), (0x0E00, "thai"),
    (0x0E80, "other"), (0x10A0, "georgian"), (0x1100, "hangul"), (0x1200, "other"), (0x1E00, "latin"),
    (0x1F00, "greek"), (0x2000, ""), (0x2C00, "other"), (0x2C60, "latin"), (0x2C80, "other"), (0x2E00, ""),
    (0x2E80, "han"), (0x3000, ""), (0x3005, "han"), (0x3008, ""), (0x3041, "kana"), (0x30FB, ""),
    (0x30FC, "kana"), (0x3100, "other"), (0x3130, "hangul"), (0x3190, ""), (0x3400, "han"), (0x4DC0, ""),
    (0x4E00, "han"), (0xA000, "other"), (0xA960, "hangul"), (0xA980, "other"), (0xAC00, "hangul"),
    (0xD7FC, ""), (0xF900, "han"), (0xFB00, "latin"), (0xFB07, ""), (0xFB1D, "hebrew"), (0xFB50, "arabic"),
    (0xFE00, ""), (0xFE70, "arabic"), (0xFEFF, ""), (0xFF21, "latin"), (0xFF3B, ""), (0xFF41, "latin"),
    (0xFF5B, ""), (0xFF66, "kana"), (0xFFA0, "hangul"), (0xFFE0, ""), (0x20000, "han"), (0x32000, ""),
)  # fmt: skip
_STARTS = [first for first, _ in _RANGES]
_NAMES = [name for _, name in _RANGES]

HAN_WEIGHT = 2.5
"""How many Latin letters one Chinese character stands for when lengths are compared."""

_SYMBOLS = frozenset("{}[]<>=+*/\\|_#$%&@~^`")
_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=8192)
def script_of(char: str) -> str:
    """Return "latin", "han", "cyrillic", … for a letter, "" for anything that is not one."""
    return _NAMES[bisect_right(_STARTS, ord(char)) - 1]


@dataclass(frozen=True, slots=True)
class Texture:
    """What a piece of text consists of, as counts of characters.

    weight: Latin-equivalent letters (a Chinese character counts HAN_WEIGHT).
    """

    length: int
    letters: int
    han: int
    digits: int
    symbols: int
    words: int

    @property
    def weight(self) -> float:
        return self.letters - self.han + HAN_WEIGHT * self.han

    @property
    def density(self) -> float:
        """Return how many Latin-equivalent characters one of its characters stands for, 1 … 2.5."""
        return 1.0 + (HAN_WEIGHT - 1.0) * self.han / self.length if self.length else 1.0

    @property
    def is_prose(self) -> bool:
        """Return whether it reads as sentences: mostly letters, few digits and few symbols."""
        if self.length == 0 or (self.words < 3 and self.han < 6):
            return False
        return (
            self.letters >= 0.5 * self.length
            and self.digits <= 0.12 * self.length
            and self.symbols <= 0.06 * self.length
        )


def measure(text: str) -> Texture:
    """Count letters, digits and symbols of `text`; the spaces at its ends do not count."""
    text = text.strip()
    runs = _WORD.findall(text)
    letters = sum(map(len, runs))
    han = sum(1 for run in runs if run[0] > "\u2e7f" for char in run if script_of(char) in ("han", "kana"))
    digits = sum(map(str.isdigit, text))
    symbols = sum(1 for char in text if char in _SYMBOLS)
    return Texture(len(text), letters, han, digits, symbols, len(runs))
