"""Stop strings watched on our side: servers take four at most, some leave the string in the text.

Text that may be the beginning of a stop string is held back until that is known. Knows nothing of
servers; what a server stops by itself never gets here.
"""

from collections.abc import Sequence
from dataclasses import replace

from twokeys.types import Delta


class StopStrings:
    """Cuts one answer before the first stop string in it.

    at_char: where the answer's new text begins. met: the string that was met, None so far.
    """

    def __init__(self, strings: Sequence[str], at_char: int = 0) -> None:
        self.met: str | None = None
        self._strings = tuple(strings)
        self._held: list[Delta] = []
        self._at_char = at_char

    def feed(self, delta: Delta) -> list[Delta]:
        """Return what of the answer can be shown now; nothing more once a string was found."""
        if self.met is not None:
            return []
        self._held.append(delta)
        text = "".join(held.text for held in self._held)
        matches = [(text.find(string), string) for string in self._strings if string in text]
        if matches:
            place, self.met = min(matches)
            return self._cut(place)
        return self._release(len(text) - self._begun(text))

    def flush(self) -> list[Delta]:
        """Return what is still held back: the answer ended within what might have become a string."""
        held, self._held = self._held, []
        return held

    def _begun(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a stop string."""
        longest = max((len(string) for string in self._strings), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(string.startswith(text[-length:]) for string in self._strings):
                return length
        return 0

    def _release(self, chars: int) -> list[Delta]:
        out: list[Delta] = []
        while self._held and len(self._held[0].text) <= chars:
            delta = self._held.pop(0)
            chars -= len(delta.text)
            self._at_char += len(delta.text)
            out.append(delta)
        if chars > 0 and self._held and not (self._held[0].probs or self._held[0].token_ids):
            first = self._held[0]
            out.append(Delta(first.text[:chars]))
            self._held[0] = Delta(first.text[chars:])
            self._at_char += chars
        return out

    def _cut(self, place: int) -> list[Delta]:
        end = self._at_char + place
        out: list[Delta] = []
        for delta in self.flush():
            text = delta.text[: max(0, end - self._at_char)]
            self._at_char += len(delta.text)
            if text:
                probs = tuple(prob for prob in delta.probs if prob.start + len(prob.text) <= end)
                whole = text == delta.text
                out.append(delta if whole else replace(delta, text=text, token_ids=(), probs=probs))
        return out
