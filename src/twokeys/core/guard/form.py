"""What may repeat in an answer that holds to a schema: keys do in every row, and so may short values.

Follows the strings of JSON along the stream. A repetition is one only within a string, or of rows whose
texts are the same. Finds no repetitions itself: cycle.py does.
"""

import re

from twokeys.core.guard.cycle import Cycle

LETTERS = 8
"""So many letters the texts of a row must have to be more than a label."""

_KEY = re.compile(r'"(?:[^"\\]|\\.)*"\s*:')
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


class JsonForm:
    """Feed it the characters of a JSON text."""

    __slots__ = ("_escaped", "in_string")

    def __init__(self) -> None:
        self.in_string = False
        self._escaped = False

    def feed(self, char: str) -> None:
        """Read one character."""
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = self.in_string
        elif char == '"':
            self.in_string = not self.in_string

    def is_loop(self, cycle: Cycle) -> bool:
        """Return whether more than keys, numbers and labels comes again in the newest copies."""
        if not cycle.exact:
            return False
        if '"' not in cycle.unit:
            return self.in_string
        # a unit begins anywhere in a row, and where it ends: three of them hold two rows whole
        rows = ('"' if self.in_string else "") + 3 * cycle.unit
        texts: list[str] = _TEXT.findall(_KEY.sub("", rows))
        return sum(char.isalpha() for text in texts for char in text) >= 2 * LETTERS
