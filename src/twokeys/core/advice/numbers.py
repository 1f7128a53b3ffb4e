"""Numbers as people write them in messages: 1500, 1.5k, 一千五百, 1千5百, 一万二, thirty-five, two hundred.

`ZH` and `EN` are patterns with one group, the number; `read_number` reads what they found. Fractions in
words and numbers of a million and more are not covered.
"""

import re

_ZH_DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
}
_ZH_DIGITS["九"] = 9
_ZH_UNITS = {"十": 10, "百": 100, "千": 1000, "k": 1000, "万": 10_000}
_SMALL = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_EN = {word: number for number, word in enumerate(_SMALL.split(), 1)} | {
    word: number for number, word in zip(range(20, 100, 10), _TENS.split(), strict=True)
}
_EN_UNITS = {"dozen": 12, "hundred": 100, "thousand": 1000}

NUMERALS = "零〇一二两三四五六七八九十百千万"
_ARABIC = r"\d[\d,]{0,11}(?:\.\d{1,6})?"
ZH = (
    rf"(?<![\d.{NUMERALS}])(?<!\d,)"
    rf"({_ARABIC}(?:\s?[kK]|(?:\s?[万千百](?:\s?(?:\d{{1,4}}|[零〇一二两三四五六七八九十]))?){{1,4}})?"
    rf"|[{NUMERALS}]{{1,14}})"
)
_WORD = "|".join(sorted((*_EN, *_EN_UNITS), key=len, reverse=True))
EN = (
    r"(?<![\w.,])(?<![A-Za-z]-)"
    rf"({_ARABIC}\s?k?\b|(?:(?:half\s+)?a\s+(?=dozen|hundred|thousand))?"
    rf"\b(?:{_WORD})(?:(?:[- ]|\s+and\s+)(?:{_WORD})){{0,8}}\b)"
)
"""To be compiled with re.IGNORECASE."""
_PIECE = re.compile(rf"{_ARABIC}|[{NUMERALS}k]", re.IGNORECASE)


def read_number(text: str) -> int:
    """Return the number that ZH or EN found; 0 when there is none in it."""
    words = [word for word in re.split(r"[\s-]+", text.lower()) if word.isascii() and word.isalpha()]
    if words and words != ["k"]:
        return _english(words)
    pieces = _PIECE.findall(text.lower())
    if len(pieces) > 1 and all(piece in _ZH_DIGITS for piece in pieces):
        return _digit_by_digit(pieces)
    return _chinese(pieces)


def _chinese(pieces: list[str]) -> int:
    """Add up digits and units. A last single digit counts tenths of the unit before: 一万二 is 12000."""
    above = part = 0.0
    digit: float | None = None
    unit = 0
    for piece in pieces:
        if piece in ("零", "〇"):
            unit = 0
        elif piece in _ZH_DIGITS:
            digit = _ZH_DIGITS[piece]
        elif piece not in _ZH_UNITS:
            digit = float(piece.replace(",", ""))
        else:
            unit = _ZH_UNITS[piece]
            if piece == "万":
                above, part = (part + (digit or 0) or 1) * unit, 0.0
            else:
                part += (1 if digit is None else digit) * unit
            digit = None
    if digit is not None:
        part += digit * unit / 10 if digit < 10 and unit >= 100 else digit
    return round(above + part)


def _digit_by_digit(digits: list[str]) -> int:
    """二〇〇〇 is 2000; 三五 means three to five, and the greater is what may be needed."""
    if len(digits) > 2 or "零" in digits or "〇" in digits:
        return int("".join(str(_ZH_DIGITS[digit]) for digit in digits))
    return _ZH_DIGITS[digits[-1]]


def _english(words: list[str]) -> int:
    above = part = 0.0
    for word in words:
        if word == "half":
            part = 0.5
        elif word == "thousand":
            above, part = above + (part or 1) * 1000, 0.0
        elif word in _EN_UNITS:
            part = (part or 1) * _EN_UNITS[word]
        else:
            part += _EN.get(word, 0)
    return round(above + part)
