"""The token budget of every request: prompt parts and answer stay within it however long the text is.

The figures are tokens. A part that has more to say than its share is shortened by whoever fills it;
`LengthEstimator` measures texts by what was learned from the engine. Knows no outline and no wording.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from twokeys.token_estimate import estimate_tokens

FRAME = 48
"""What the chat template and the fixed words between the parts cost at most."""

WRITING: Mapping[str, int] = {
    "project": 240,
    "chapters": 260,
    "place": 220,
    "summary": 320,
    "terms": 60,
    "notes": 240,
    "before": 150,
    "after": 50,
}
"""Shares of a prompt that writes: the project, the chapters' titles and the place in them, what was
said, terms in use, the author's notes, the edges of the sections before and after."""

WORKING: Mapping[str, int] = {
    "project": 240,
    "place": 150,
    "text": 1060,
    "before": 60,
    "after": 30,
}
"""Shares of a prompt that works on a text that is there."""

ANSWER = 1536
"""The most tokens one answer may have; a longer section is continued."""

MARGIN = 1.2
"""S9: what the task needs and 20 %."""

SMALLEST_CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class Budget:
    """parts: tokens of each part of a prompt. answer: the most tokens of one answer."""

    parts: Mapping[str, int]
    answer: int

    @property
    def prompt(self) -> int:
        """The most tokens a prompt may have."""
        return FRAME + sum(self.parts.values())

    @property
    def total(self) -> int:
        """The most tokens a request may take of the context."""
        return self.prompt + self.answer

    def grown(self, context: int = 0) -> int:
        """Return the most tokens an answer may come to by being continued. context: 0: not known."""
        return 2 * self.answer if context <= 0 else min(2 * self.answer, max(context - self.prompt, 256))

    def within(self, context: int) -> Self:
        """Return the budget shrunk in proportion to a context that is smaller. 0: not known."""
        if context <= 0 or self.total <= context:
            return self
        share = max(context, SMALLEST_CONTEXT) * 0.98 / self.total
        parts = {name: int(tokens * share) for name, tokens in self.parts.items()}
        return replace(self, parts=parts, answer=int(self.answer * share))


WRITING_BUDGET = Budget(WRITING, ANSWER)
WORKING_BUDGET = Budget(WORKING, ANSWER)


@dataclass(frozen=True, slots=True)
class LengthEstimator:
    """Tokens of texts by an estimate that is corrected by what the engine counted.

    per_unit: tokens for one character (Chinese) or word (English) of produced text. factor: counted
    tokens / estimated tokens of the same text.
    """

    per_unit: float
    factor: float = 1.0

    def tokens(self, text: str) -> int:
        """Return about how many tokens a text has, rather too many than too few."""
        return math.ceil(estimate_tokens(text) * self.factor)

    def clip(self, text: str, tokens: int) -> str:
        """Return the beginning of a text that has at most so many tokens."""
        if self.tokens(text) <= tokens:
            return text
        end = self.chars(text, tokens)
        while end and self.tokens(text[:end]) > tokens - 2:
            end = int(end * 0.92)
        return text[:end].rstrip() + "…" if end and tokens > 8 else ""

    def chars(self, text: str, tokens: int) -> int:
        """Return how many characters of a text like this one so many tokens hold."""
        whole = self.tokens(text)
        return len(text) if whole <= tokens else max(0, int(len(text) * (tokens - 2) / whole))

    def answer(self, length: int) -> int:
        """Return the tokens that a text of this length needs, with the margin."""
        return math.ceil(length * self.per_unit * MARGIN) + 16

    def length(self, tokens: int) -> int:
        """Return the length of a text that is sure to keep within so many tokens; `answer` the other way."""
        return max(1, int((tokens - 16) / (self.per_unit * MARGIN)))

    @classmethod
    def learned(cls, unit: str, tokens: int, length: int, estimated: int) -> Self:
        """Return a estimator from produced text: its tokens as counted, its length, our estimate of it.

        With little text the usual figures of Qwen2.5's tokenizer weigh more.
        """
        usual, weight = (0.68, 200) if unit == "chars" else (1.4, 100)
        low, high = (0.35, 1.6) if unit == "chars" else (1.0, 4.0)
        per_unit = (tokens + usual * weight) / (length + weight)
        factor = (tokens + 200) / (estimated + 200)
        return cls(min(max(per_unit, low), high), min(max(factor, 0.8), 1.6))
