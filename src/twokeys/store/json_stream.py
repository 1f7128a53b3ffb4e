"""JSON of any size, read value by value: a list by its entries, lines by their objects.

So a file of a gigabyte costs the memory of its largest conversation. Our own export, one object around
a list, is given as many small ones around one conversation each. Knows nothing of conversations else.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from twokeys.store.parcel import bad_file

CHUNK_BYTES = 2**18
MAX_VALUE_CHARS = 64 * 2**20
"""The largest single value: a conversation with all its probabilities is far below."""
LIST_NAME = "conversations"

_SPACE = re.compile(r"[ \t\r\n]*")
_OUTER = re.compile(r'(\{[^{}\[\]]*)"' + LIST_NAME + r'"\s*:\s*\[')
_OUTER_CHARS = 4096


def read_values(stream: BinaryIO) -> Iterator[object]:
    """Give the entries of a list, else the objects that follow one another. Raises BadFile."""
    text = _JsonText(stream)
    while text.next_sign():
        if text.next_sign() == "[":
            yield from _entries(text)
        elif (outer := text.take(_OUTER)) is not None:
            yield from _wrapped(text, outer[1])
        else:
            yield text.value()


def _entries(text: "_JsonText") -> Iterator[object]:
    text.skip()
    if text.next_sign() == "]":
        text.skip()
        return
    while True:
        yield text.value()
        sign = text.next_sign()
        text.skip()
        if sign == "]":
            return
        if sign != ",":
            raise bad_file("not_json", detail="Expecting ',' or ']'" if sign else "Unterminated list")


def _wrapped(text: "_JsonText", head: str) -> Iterator[object]:
    """Give {…, "conversations": [one]} for each entry of an object's list."""
    try:
        outer = json.loads(head.rstrip().rstrip(",").rstrip() + "}", parse_constant=_no_number)
    except ValueError as exc:
        raise bad_file("not_json", detail=str(exc)) from exc
    text.put_back("[")
    any_entry = False
    for entry in _entries(text):
        any_entry = True
        yield {**outer, LIST_NAME: [entry]}
    text.put_back('{"":0')
    text.value()
    if not any_entry:
        yield {**outer, LIST_NAME: []}


class _JsonText:
    """The text of a file, as far as it was needed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._buffer = ""
        self._at = 0
        self._ended = False

    def next_sign(self) -> str:
        """Return the next sign that is no space, without taking it; "" at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more(CHUNK_BYTES):
                return ""

    def skip(self) -> None:
        """Take one sign."""
        self._at += 1

    def put_back(self, text: str) -> None:
        """Let a text come next."""
        self._buffer, self._at = text + self._buffer[self._at :], 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what matches here, within the next few thousand signs."""
        while len(self._buffer) - self._at < _OUTER_CHARS and self._more(CHUNK_BYTES):
            pass
        match = pattern.match(self._buffer, self._at, self._at + _OUTER_CHARS)
        if match is not None:
            self._at = match.end()
        return match

    def value(self) -> Any:
        """Take one whole value."""
        self.next_sign()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError as exc:
                raise bad_file("not_json", detail="nesting") from exc
            except ValueError as exc:
                reason = getattr(exc, "msg", str(exc))
            else:
                # A number may go on beyond what was read.
                if end < len(self._buffer) or not self._more(CHUNK_BYTES):
                    self._at = end
                    return value
                continue
            waiting = len(self._buffer) - self._at
            if waiting > MAX_VALUE_CHARS:
                raise bad_file("too_large_value", limit=MAX_VALUE_CHARS // 2**20)
            if not self._more(max(CHUNK_BYTES, waiting)):
                raise bad_file("not_json", detail=reason)

    def _more(self, size: int) -> bool:
        """Read on; return False at the end."""
        if self._ended:
            return False
        data = self._stream.read(size)
        self._ended = not data
        try:
            text = self._decode(data, self._ended)
        except UnicodeDecodeError as exc:
            raise bad_file("not_text") from exc
        self._buffer, self._at = self._buffer[self._at :] + text, 0
        return not self._ended or bool(text)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _no_number(_name: str) -> None:
    """NaN and Infinity, which JSON does not have."""


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_number)
