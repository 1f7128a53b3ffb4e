"""The guard: watches an answer while it is written. See guard.py for the one class to use."""

from twokeys.core.guard.cut import Cut
from twokeys.core.guard.guard import Guard
from twokeys.core.guard.retry import Change, Retry, continue_differently
from twokeys.core.guard.settings import (
    DETECTORS,
    LEVELS,
    GuardSettings,
    Level,
    level_in_force,
    levels_of,
    wanted_candidates,
)
from twokeys.core.guard.wording import EventText, describe, describe_changes

__all__ = [
    "DETECTORS",
    "LEVELS",
    "Change",
    "Cut",
    "EventText",
    "Guard",
    "GuardSettings",
    "Level",
    "Retry",
    "continue_differently",
    "describe",
    "describe_changes",
    "level_in_force",
    "levels_of",
    "wanted_candidates",
]
