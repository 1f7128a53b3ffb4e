"""What the guard may say in one conversation.

A level is the most a detector may do: "off" keeps it silent, "note" lets it mark, "warn" lets it
warn, "stop" lets it warn and end the answer when it is certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from twokeys.errors import BadParameter

Level = Literal["off", "note", "warn", "stop"]
EventLevel = Literal["note", "warn", "stop"]
LEVELS: tuple[Level, ...] = ("off", "note", "warn", "stop")
DETECTORS = ("loop", "decay", "drift", "uncertainty", "stall")
HIGHEST: dict[str, Level] = {"uncertainty": "note", "stall": "warn"}
"""The most these two ever say: an unsure passage is a mark to check, and a person ends a stall."""

CREATIVE_TEMPERATURE = 0.8
"""From here on facts need a person's check (S5), so the guard asks for probabilities by itself."""

CANDIDATES = 5
_RANK = {level: rank for rank, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The highest level of each detector. The default warns, and stops a loop when certain.

    Raises BadParameter for an unknown level.
    """

    loop: Level = "stop"
    decay: Level = "warn"
    drift: Level = "warn"
    uncertainty: Level = "note"
    stall: Level = "warn"

    def __post_init__(self) -> None:
        for name in DETECTORS:
            if getattr(self, name) not in LEVELS:
                raise BadParameter(
                    field=f"guard.{name}", value=getattr(self, name), allowed=" | ".join(LEVELS)
                )

    def allow(self, detector: str, level: EventLevel) -> EventLevel | None:
        """Return `level` lowered to what the detector may say, None when it is off."""
        highest: Level = getattr(self, detector)
        if highest == "off":
            return None
        return level if _RANK[level] <= _RANK[highest] else highest

    def to_dict(self) -> dict[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def all_at(cls, level: Level) -> Self:
        """Return settings that allow every detector the same. Raises BadParameter."""
        return cls(**dict.fromkeys(DETECTORS, level))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from stored settings; unknown names are left out, missing ones take the default."""
        return cls(**{name: values[name] for name in DETECTORS if name in values})


def levels_of(detector: str) -> tuple[Level, ...]:
    """Return the levels that make a difference for a detector, lowest first."""
    return LEVELS[: _RANK[HIGHEST.get(detector, "stop")] + 1]


def level_in_force(detector: str, level: Level) -> Level:
    """Return the chosen level, lowered to the most this detector ever says."""
    return min(level, levels_of(detector)[-1], key=_RANK.__getitem__)


def wanted_candidates(chosen: Mapping[str, object], temperature: float) -> int:
    """Return for how many candidates per token the engine is to be asked on the guard's behalf.

    chosen: the conversation's own choices (Settings.guard). Without a choice for "uncertainty" only
    creative temperatures are worth the cost; "off" asks for none, any other level always.
    """
    level = chosen.get("uncertainty")
    if level == "off":
        return 0
    return CANDIDATES if level is not None or temperature >= CREATIVE_TEMPERATURE else 0
