"""A level is the most a detector may do."""

import pytest

from twokeys.core.guard import GuardSettings, level_in_force, levels_of
from twokeys.errors import BadParameter


def test_default_warns_and_stops_only_loops() -> None:
    settings = GuardSettings()
    assert settings.allow("loop", "stop") == "stop"
    assert settings.allow("decay", "stop") == "warn"
    assert settings.allow("uncertainty", "warn") == "note"


def test_only_levels_that_make_a_difference_are_offered() -> None:
    assert levels_of("loop") == ("off", "note", "warn", "stop")
    assert levels_of("uncertainty") == ("off", "note")
    assert levels_of("stall") == ("off", "note", "warn")
    assert [level_in_force(kind, "stop") for kind in ("decay", "uncertainty", "stall")] == [
        "stop",
        "note",
        "warn",
    ]


def test_off_is_silent() -> None:
    assert GuardSettings(loop="off").allow("loop", "stop") is None


def test_settings_survive_storage_and_unknown_names() -> None:
    settings = GuardSettings(loop="warn", drift="off")
    assert GuardSettings.from_dict(settings.to_dict() | {"later": 1}) == settings
    assert GuardSettings.from_dict({}) == GuardSettings()


def test_unknown_level_is_refused() -> None:
    with pytest.raises(BadParameter):
        GuardSettings.from_dict({"loop": "loud"})
