"""Where an answer can be cut so that it still reads well.

Remembers the recent sentence ends (in code: line ends) and, for a wanted limit, gives the last one
before it. Does not cut anything itself.
"""

from collections import deque
from dataclasses import dataclass

from twokeys.core.guard.reader import TextPiece

REMEMBERED = 8192


@dataclass(frozen=True, slots=True)
class Cut:
    """Keep answer[:at_char] and append `suffix` (closes an open code fence; often empty)."""

    at_char: int
    suffix: str = ""


class SentenceEnds:
    """The last REMEMBERED places where a sentence, list item or code line ended."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)

    def read(self, piece: TextPiece) -> None:
        """Remember the end of a piece if a reader would accept the answer stopping there."""
        if piece.ends not in ("sentence", "line"):
            return
        end = piece.start + len(piece.text.rstrip())
        if end == piece.start:
            return
        opened = piece.is_fence and not piece.fence
        if opened or (not piece.fence and not _complete(piece)):
            return
        self._ends.append((end, "" if piece.is_fence else piece.fence))

    def before(self, limit: int) -> Cut:
        """Return the last good place at or before `limit`; `limit` itself when there is none."""
        for end, fence in reversed(self._ends):
            if end <= limit:
                return Cut(end, f"\n{fence}" if fence else "")
        return Cut(max(limit, 0))


def _complete(piece: TextPiece) -> bool:
    """A heading or an introducing line ("For example:") is no place to stop."""
    text = piece.text.rstrip()
    return not (text.endswith((":", "：", "-", "—", ",", "，", "、")) or text.lstrip().startswith("#"))
