"""Numbers between bounds as grammar: the digits of every number from one bound to another."""

import math

from twokeys.grammar.nodes import CharSet, Node, Repeated, RuleName, Series, Word, any_of, optional, series

DIGIT = CharSet((("0", "9"),))
MOST_DIGITS = 16
_MOST = 10**MOST_DIGITS - 1
_FRACTION = 6
"""Digits after the point of a bounded number: so few that no rounding reaches a bound."""
MOST_BOUND = 10**9


def whole(least: int | None, most: int | None) -> Node | None:
    """Return the whole numbers from `least` to `most`; None where there are none."""
    low, high = (
        max(least if least is not None else -_MOST, -_MOST),
        min(most if most is not None else _MOST, _MOST),
    )
    if low > high:
        return None
    options: list[Node] = []
    if low < 0:
        options.append(Series((Word("-"), _natural(max(1, -high), -low))))
    if high >= 0:
        options.append(_natural(max(0, low), high))
    return any_of(options)


def number(
    least: float | None, most: float | None, *, above: bool = False, below: bool = False
) -> Node | None:
    """Return the numbers from `least` to `most`, whole bounds of at most MOST_BOUND.

    above, below: without the bound itself. None where there are none.
    """
    if least is None and most is None:
        return RuleName("number")
    low = None if least is None else int(least)
    high = None if most is None else int(most)
    if low is not None and high is not None and (low > high or (low == high and (above or below))):
        return None
    options: list[Node] = []
    if low is None or low < 0:
        near = max(0, -(high if high is not None else 0))
        nearest_out = below and high is not None and high <= 0
        far = None if low is None else -low
        options.append(Series((Word("-"), _magnitude(near, far, nearest_out, above))))
    if high is None or high > 0 or (high == 0 and not below):
        start = max(0, low or 0)
        options.append(_magnitude(start, high, above and low is not None and low >= 0, below))
    return any_of(options)


def _magnitude(low: int, high: int | None, above: bool, below: bool) -> Node:
    fraction = optional(Series((Word("."), Repeated(DIGIT, 1, _FRACTION))))
    options: list[Node] = []
    first = low + 1 if above else low
    last = _MOST if high is None else high - 1
    if above and (high is None or low < high):
        positive = (Repeated(Word("0"), 0, 2), CharSet((("1", "9"),)), Repeated(DIGIT, 0, 3))
        options.append(Series((Word(f"{low}."), *positive)))
    if first <= last:
        options.append(Series((_natural(first, last), fraction)))
    if high is not None and not below and not (above and low == high):
        zeros = optional(Series((Word("."), Repeated(Word("0"), 1, _FRACTION))))
        options.append(Series((Word(str(high)), zeros)))
    return any_of(options)


def _natural(low: int, high: int) -> Node:
    options = []
    for length in range(len(str(low)), len(str(high)) + 1):
        start = max(low, 10 ** (length - 1) if length > 1 else 0)
        options.append(_same_length(str(start), str(min(high, 10**length - 1))))
    return any_of(options)


def _same_length(low: str, high: str) -> Node:
    if low == high:
        return Word(low)
    rest = len(low) - 1
    if set(low) == {"0"} and set(high) == {"9"}:
        return Repeated(DIGIT, len(low), len(low))
    if low[0] == high[0]:
        return Series((Word(low[0]), _same_length(low[1:], high[1:])))
    if rest == 0:
        return CharSet(((low, high),))
    first, last = int(low[0]), int(high[0])
    options: list[Node] = []
    if set(low[1:]) != {"0"}:
        options.append(Series((Word(low[0]), _same_length(low[1:], "9" * rest))))
        first += 1
    if set(high[1:]) != {"9"}:
        options.append(Series((Word(high[0]), _same_length("0" * rest, high[1:]))))
        last -= 1
    if first <= last:
        digits = Repeated(DIGIT, rest, rest)
        options.append(series(CharSet(((str(first), str(last)),)), digits))
    return any_of(options)


def whole_bound(bound: float) -> bool:
    """Return whether a bound of a number can be kept to."""
    return math.isfinite(bound) and bound == int(bound) and abs(bound) <= MOST_BOUND
