"""A writing project: what is to be written, for whom, how long, from which notes. Values only.

Lengths are in the project's unit: characters without white space for Chinese, words for English
(F11). Nothing here knows the outline or the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from twokeys.core.metrics import length_of
from twokeys.core.writer.known import known_values
from twokeys.errors import BadInput, BadParameter, EmptyMessage, Reason

Unit = Literal["chars", "words"]
KINDS = ("white_paper", "review", "report", "tutorial", "essay", "story", "other")
LANGUAGES = ("zh", "en")
SHORTEST = {"chars": 500, "words": 150}
LONGEST = {"chars": 100_000, "words": 50_000}
CHARS_PER_WORD = 6
"""Letters and the space of an English word, for lengths that are given in characters."""

MAX_TOPIC_CHARS = 300
MAX_FIELD_CHARS = 1000
MAX_NOTES_CHARS = 400_000


@dataclass(frozen=True, slots=True)
class Project:
    """What is to be written. length: of the whole, in `unit`. notes: the author's own sources.

    Raises EmptyMessage without a topic, BadParameter for an unknown kind or language or a length out
    of range, BadInput for a field that is too long.
    """

    topic: str
    kind: str = "report"
    language: str = "zh"
    length: int = 6000
    audience: str = ""
    style: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.topic.strip():
            raise EmptyMessage()
        if self.kind not in KINDS:
            raise BadParameter(field="kind", value=self.kind, allowed=" | ".join(KINDS))
        if self.language not in LANGUAGES:
            raise BadParameter(field="language", value=self.language, allowed=" | ".join(LANGUAGES))
        low, high = SHORTEST[self.unit], LONGEST[self.unit]
        if isinstance(self.length, bool) or not low <= self.length <= high:
            raise BadParameter(field="length", value=self.length, allowed=f"{low} … {high}")
        limits = {
            "topic": MAX_TOPIC_CHARS,
            "audience": MAX_FIELD_CHARS,
            "style": MAX_FIELD_CHARS,
            "notes": MAX_NOTES_CHARS,
        }
        for name, limit in limits.items():
            if len(getattr(self, name)) > limit:
                reason = Reason("writing.error.field_too_long", limit=limit)
                raise BadInput(reason=reason)

    @property
    def unit(self) -> Unit:
        """What lengths are counted in."""
        return "chars" if self.language == "zh" else "words"

    def length_of(self, text: str) -> int:
        """Return the length of a text in the project's unit."""
        return length_of(text, self.unit)

    def with_(self, **changes: Any) -> Self:
        """Return a changed project, validated again."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Build from stored values; unknown names are left out."""
        return cls(**known_values(cls, values))


def length_from_chars(chars: int, language: str) -> int:
    """Return a length in the unit of a language from one in characters (6000 → 1000 words)."""
    return chars if language == "zh" else round(chars / CHARS_PER_WORD)
