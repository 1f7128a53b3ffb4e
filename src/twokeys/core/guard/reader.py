"""Cuts the stream into sentences and lines, one character at a time.

Every other detector reads these pieces, so that none depends on how the stream was chunked. A
piece ends at a line end, after a sentence end, or at MAX_PIECE characters. Code fences are
followed; nothing else of Markdown is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from twokeys.core.guard.lines import Lines
from twokeys.core.guard.script import Texture, measure

MAX_PIECE = 400
"""A piece is cut here when no sentence ends, so that memory stays bounded."""

ENDS_ANYWHERE = frozenset("。！？…｡")
ENDS_BEFORE_SPACE = frozenset(".!?")
_MARKS = re.compile(r"^\s*(?:[-*+•>]|\d{1,3}[.)])\s|\*{1,3}|__")
CLOSERS = frozenset("\"'”’」』）)]】》*_")


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A sentence or line: `text` = answer[start:end].

    fence: the marker of the code fence it stands in ("```"), or "". line_start: the piece begins
    its line. ends: "sentence", "line", "full" (cut at MAX_PIECE) or "open" (the stream ended).
    is_fence: the line opens or closes a fence. is_code: the lines before it are code or data although
    no fence says so. texture: of the text without list and emphasis marks.
    """

    text: str
    start: int
    end: int
    fence: str
    line_start: bool
    ends: str
    texture: Texture
    is_fence: bool = False
    is_table: bool = False
    is_code: bool = False


class Reader:
    """Turns characters into pieces, handed to `on_piece` as soon as they end."""

    __slots__ = (
        "_blank", "_chars", "_ending", "_line", "_line_start", "_lines", "_start",
        "fence", "on_piece", "position", "structured",
    )  # fmt: skip

    def __init__(self, on_piece: Callable[[TextPiece], None]) -> None:
        self.on_piece = on_piece
        self.position = 0
        self.fence = ""
        self._chars: list[str] = []
        self._start = 0
        self._line_start = True
        self._ending = 0  # 0: inside a sentence, 1: after ".", 2: after "。"
        self._blank = True
        self._line = ""
        self._lines = Lines()
        self.structured = False
        """Whether the newest character stands in code, in data or in a table row."""

    def feed(self, char: str) -> None:
        """Read one character."""
        if (
            self._ending
            and char not in CLOSERS
            and char not in ENDS_ANYWHERE
            and char not in ENDS_BEFORE_SPACE
        ):
            if self._ending == 2 and char != "\n":
                self._emit("sentence")
            elif self._ending == 1 and char == " ":
                self._chars.append(char)
                self.position += 1
                self._ending = 0
                self._emit("sentence")
                return
            self._ending = 0
        self._chars.append(char)
        self.position += 1
        if self._blank and not char.isspace():
            self._blank = False
            self.structured = bool(self.fence) or char == "|" or self._lines.are_code
        if char == "\n":
            self._ending = 0
            self._emit("line")
        elif char in ENDS_ANYWHERE:
            self._ending = 2
        elif char in ENDS_BEFORE_SPACE:
            self._ending = max(self._ending, 1)
        elif len(self._chars) >= MAX_PIECE:
            self._ending = 0
            self._emit("full")

    def finish(self) -> None:
        """Hand out what is left; the stream is over."""
        if self._chars:
            self._emit("open")

    def _emit(self, ends: str) -> None:
        text = "".join(self._chars)
        marker = _fence_marker(text) if self._line_start and ends in ("line", "open") else ""
        is_table = text.lstrip()[:1] == "|" and not self.fence if self._line_start else self._line[:1] == "|"
        inside = self.fence
        is_fence = bool(marker) and (not inside or marker == inside)
        if is_fence:
            self.fence = "" if inside else marker
        piece = TextPiece(
            text,
            self._start,
            self.position,
            inside,
            self._line_start,
            ends,
            measure(_MARKS.sub("", text)),
            is_fence,
            is_table,
            self._lines.are_code and not inside,
        )
        self._chars.clear()
        self._start = self.position
        self._line_start = self._blank = ends == "line"
        self._line = (self._line + text)[:MAX_PIECE]
        if ends == "line":
            if not inside and not is_fence:
                self._lines.read(self._line)
            self._line = ""
            self.structured = bool(self.fence) or self._lines.are_code
        self.on_piece(piece)


def _fence_marker(line: str) -> str:
    stripped = line.lstrip()
    for marker in ("```", "~~~"):
        if stripped.startswith(marker) and marker[0] not in stripped.lstrip(marker[0]):
            return marker
    return ""
