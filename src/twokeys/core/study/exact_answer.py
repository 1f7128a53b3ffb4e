"""Reads the beginning of an answer byte by byte: is it right already, wrong for good, or still open?

For answers that are a number or one of a few options and stand at the very beginning, after "Answer:": only
blanks and signs of emphasis may come before. What is right or wrong stays so whatever follows. A number
ends where no further digit follows, an option of one letter where no further letter does.
"""

from dataclasses import dataclass
from typing import Literal

from twokeys.core.study.prompt import Checker

Outcome = Literal["right", "wrong", "open"]
ANSWER_PREFIX = {"en": "Answer:", "zh": "答案："}
"""How an exact study begins every answer, so that what follows is the answer itself."""
COUNTED = ("temperature", "top_k", "top_p", "min_p", "top_n_sigma")
"""The parameters whose effect is counted; all others have to be off."""
LEAD = b" \t\r\n*\"'($`"
MAX_LEAD = 8


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What counts as the right answer. targets: its spellings; number: whether digits would go on with it."""

    targets: tuple[bytes, ...]
    number: bool
    whole: bool = False
    """A target is complete as soon as it is spelled: no option begins with it, and it is no single letter."""

    @classmethod
    def of(cls, checker: Checker) -> "AnswerReading":
        """Raises ValueError for a checker that is neither a number nor a choice."""
        if checker.kind == "number":
            return cls(tuple(spelling.encode() for spelling in _spellings(float(checker.value))), True)
        if checker.kind == "choice":
            right = str(checker.value)
            longer = any(option != right and option.startswith(right) for option in checker.options)
            return cls((right.encode(),), False, whole=len(right) > 1 and not longer)
        raise ValueError(f"a {checker.kind} has no short answer")

    @property
    def text(self) -> str:
        """The right answer as people write it."""
        return self.targets[0].decode()

    def read(self, text: bytes, ended: bool = False) -> Outcome:
        """Read the answer so far. ended: nothing follows."""
        rest = text.lstrip(LEAD)
        if len(text) - len(rest) > MAX_LEAD:
            return "wrong"
        outcomes = {self._against(target, rest, ended) for target in self.targets}
        return "right" if "right" in outcomes else "open" if "open" in outcomes else "wrong"

    def _against(self, target: bytes, rest: bytes, ended: bool) -> Outcome:
        if not rest.startswith(target):
            return "open" if target.startswith(rest) and not ended else "wrong"
        tail = rest[len(target) :]
        if not tail:
            return "right" if ended or self.whole else "open"
        if not self.number:
            return "wrong" if tail[:1].isalnum() and not self.whole else "right"
        if tail[:1].isdigit():
            return "wrong"
        if tail[:1] in b".,":
            if len(tail) == 1:
                return "right" if ended else "open"
            return "wrong" if tail[1:2].isdigit() else "right"
        return "right"


def _spellings(value: float) -> list[str]:
    """Return a number as it is written: 1234, 1,234."""
    if value != int(value):
        return [f"{value:g}"]
    plain = str(int(value))
    return [plain, f"{int(value):,}"] if abs(value) >= 1000 else [plain]
