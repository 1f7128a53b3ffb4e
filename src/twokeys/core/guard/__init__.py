"""The guard: watches an answer while it is written. See guard.py for the one class to use."""

from twokeys.core.guard.cut import Cut
from twokeys.core.guard.guard import Guard, event_to_dict
from twokeys.core.guard.retry import Retry, continue_differently
from twokeys.core.guard.settings import DETECTORS, LEVELS, GuardSettings

__all__ = [
    "DETECTORS",
    "LEVELS",
    "Cut",
    "Guard",
    "GuardSettings",
    "Retry",
    "continue_differently",
    "event_to_dict",
]
