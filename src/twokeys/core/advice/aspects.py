"""What a request can leave open: audience, count, format, length, stance. Pure patterns on text.

Generous on purpose: whatever could be read as naming an aspect counts as naming it, since the coach
has to be silent rather than wrong.
"""

from collections.abc import Mapping
from typing import Literal

from twokeys.core.advice.signs import signs

Aspect = Literal["audience", "count", "format", "length", "stance"]
ASPECTS: tuple[Aspect, ...] = ("audience", "count", "format", "length", "stance")

NEEDED: Mapping[str, tuple[Aspect, ...]] = {
    "explain": ("audience", "length", "format"),
    "document": ("audience", "length", "stance"),
    "long_text": ("audience", "length", "format"),
    "brainstorm": ("audience", "count", "format"),
    "naming": ("audience", "count", "stance"),
    "story": ("audience", "length", "stance"),
}
"""Which aspects change the answer to each kind of task most; other tasks bring their own form."""


def named_aspects(text: str) -> frozenset[Aspect]:
    """Return the aspects that the text says something about."""
    patterns = signs("aspect")
    return frozenset(aspect for aspect in ASPECTS if patterns[aspect].search(text))


def missing_aspects(text: str, task: str) -> tuple[Aspect, ...]:
    """Return the aspects the task needs and the text leaves open, in the order of NEEDED."""
    named = named_aspects(text)
    return tuple(aspect for aspect in NEEDED.get(task, ()) if aspect not in named)
