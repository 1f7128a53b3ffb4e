"""The guard: watches an answer while it is written. See guard.py for the one class to use."""

from twokeys.core.guard.cut import Cut
from twokeys.core.guard.guard import Guard, event_to_dict
from twokeys.core.guard.retry import Retry, continue_differently
from twokeys.core.guard.settings import DETECTORS, LEVELS, GuardSettings
from twokeys.core.guard.wording import Told, describe, describe_changes

__all__ = [
    "DETECTORS",
    "LEVELS",
    "Cut",
    "Guard",
    "GuardSettings",
    "Retry",
    "Told",
    "continue_differently",
    "describe",
    "describe_changes",
    "event_to_dict",
]
