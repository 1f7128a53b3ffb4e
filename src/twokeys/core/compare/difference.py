"""What differs between two texts, by words or by characters, in Chinese as in English.

A word is a run of letters or digits; a CJK character is a word of its own; white space and every
other sign too. The work is bounded: long texts are compared by lines and sentences first.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["word", "char"]
Operation = Literal["equal", "replace", "delete", "insert"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of both texts. equal: `first` is `second`; delete: only first; insert: only second."""

    operation: Operation
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The pieces join to both texts. similarity: 2·equal / all units, 0…1; 1 for two empty texts."""

    pieces: tuple[Piece, ...]
    similarity: float


def compare_texts(first: str, second: str, unit: Unit = "word") -> Difference:
    """Return what differs between two texts."""
    raise NotImplementedError
