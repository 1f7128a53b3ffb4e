"""What a detector hands to the guard: an event before settings and token counts are applied."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twokeys.core.guard.settings import EventLevel


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """kind: loop, decay, drift, uncertainty or stall. level: "note", "warn" or "stop".

    at_char: where in the answer it was noticed.
    """

    kind: str
    level: EventLevel
    at_char: int
    data: Mapping[str, Any] = field(default_factory=dict)
