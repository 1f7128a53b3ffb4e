"""What differs between two texts, by words or by characters, in Chinese as in English.

A word is a run of letters or digits; a CJK character is a word of its own; a run of white space and
every other sign too. The work is bounded: long texts are cut where both surely say the same, and
compared between the cuts.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Unit = Literal["word", "char"]
Operation = Literal["equal", "replace", "delete", "insert"]

EXACT_PRODUCT = 250_000
"""Up to so many pairs of units are compared in one go: 500 words against 500."""

RUNS = (8, 5, 3, 2)
"""Lengths of the runs that long texts are cut at, the surest first."""

_WORD = re.compile(
    r"[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
    r"|[^\W\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+"
    r"(?:['’][^\W\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+)*"
    r"|\n|[^\S\n]+|[^\w\s]|.",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of both texts. equal: `first` is `second`; delete: only first; insert: only second."""

    operation: Operation
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The pieces join to both texts. similarity: 2·equal / all units, 0…1; 1 for two empty texts.

    White space does not count.
    """

    pieces: tuple[Stretch, ...]
    similarity: float


def split_units(text: str, unit: Unit) -> list[str]:
    """Return the units of a text; they join to it again."""
    return list(text) if unit == "char" else _WORD.findall(text)


def compare_texts(first: str, second: str, unit: Unit = "word") -> Difference:
    """Return what differs between two texts."""
    pieces = _joined(_compare(first, second, unit))
    equal = sum(_weight(piece.first, unit) for piece in pieces if piece.operation == "equal")
    total = _weight(first, unit) + _weight(second, unit)
    return Difference(tuple(pieces), 2 * equal / total if total else 1.0)


def _compare(first: str, second: str, unit: Unit) -> Iterator[Stretch]:
    yield from _diff(split_units(first, unit), split_units(second, unit))


def _diff(a: Sequence[str], b: Sequence[str]) -> Iterator[Stretch]:
    """Compare two lists of units, long ones piece by piece between what both surely share."""
    if len(a) * len(b) <= EXACT_PRODUCT:
        matcher = SequenceMatcher(None, a, b, autojunk=False)
        for operation, a_from, a_to, b_from, b_to in matcher.get_opcodes():
            yield Stretch(operation, "".join(a[a_from:a_to]), "".join(b[b_from:b_to]))
        return
    done_a = done_b = 0
    for at_a, at_b in [*_anchors(a, b), (len(a), len(b))]:
        yield from _diff(a[done_a:at_a], b[done_b:at_b])
        done_a, done_b = at_a, at_b


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Return places (in a, in b) to cut both lists at: where rare runs of units stand in both.

    Patience diff's idea: runs that occur once in each text, as many as stand in the same order.
    Where there are none, the middles.
    """
    for run in RUNS:
        once_a, once_b = _once(a, run), _once(b, run)
        common = sorted((place, once_b[key]) for key, place in once_a.items() if key in once_b)
        chain = [pair for pair in _increasing(common) if pair != (0, 0)]
        if chain:
            return chain
    return [(len(a) // 2, len(b) // 2)]


def _once(units: Sequence[str], run: int) -> dict[tuple[str, ...], int]:
    places: dict[tuple[str, ...], int] = {}
    twice: set[tuple[str, ...]] = set()
    for place, key in enumerate(zip(*(units[i:] for i in range(run)), strict=False)):
        if key in places:
            twice.add(key)
        places[key] = place
    return {key: place for key, place in places.items() if key not in twice}


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest chain of pairs that increases in both places (patience sorting)."""
    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_first, second) in enumerate(pairs):
        pile = bisect_left(tops, second)
        before.append(ends[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(second)
            ends.append(number)
        else:
            tops[pile], ends[pile] = second, number
    chain: list[tuple[int, int]] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _joined(pieces: Iterator[Stretch]) -> list[Stretch]:
    """Join neighbours of one kind, and changes that only white space or one sign keeps apart."""
    joined: list[Stretch] = []
    for piece in pieces:
        if joined and joined[-1].operation == piece.operation:
            last = joined.pop()
            piece = Stretch(piece.operation, last.first + piece.first, last.second + piece.second)
        joined.append(piece)
    merged: list[Stretch] = []
    for number, piece in enumerate(joined):
        between = 0 < number < len(joined) - 1 and piece.operation == "equal" and not piece.first.strip()
        if merged and (between or (piece.operation != "equal" and merged[-1].operation != "equal")):
            last = merged.pop()
            merged.append(_change(last.first + piece.first, last.second + piece.second))
        else:
            merged.append(piece)
    return merged


def _change(first: str, second: str) -> Stretch:
    if not first:
        return Stretch("insert", "", second)
    return Stretch("replace" if second else "delete", first, second)


def _weight(text: str, unit: Unit) -> int:
    return sum(1 for part in split_units(text, unit) if not part.isspace())
