"""Saving a preset under a name that is taken is asked about, wherever it is saved."""

from collections.abc import Callable

import pytest
from tests.ui.conftest import Browser

from twokeys.services import Services

Open = Callable[..., Browser]


@pytest.fixture
def saved_twice(open_tab: Open) -> Browser:
    """A tab in which the name of a preset was given a second time, with another temperature."""
    tab = open_tab()
    for temperature in (0.3, 0.9):
        tab.at.slider(key="key_temperature").set_value(temperature).run()
        tab.at.text_input(key="preset_name").set_value("weekly")
        tab.click("preset_save_button")
    return tab


def temperatures(services: Services) -> list[float]:
    return [preset.changes["temperature"] for preset in services.repository.list_presets()]


def test_the_old_preset_stays_until_a_person_says_replace(saved_twice: Browser, services: Services) -> None:
    assert temperatures(services) == [0.3]
    assert "There is already a preset called" in saved_twice.text()
    saved_twice.click("replace_preset_yes")
    assert temperatures(services) == [0.9]
    assert "replace_preset_yes" not in {button.key for button in saved_twice.at.button}


def test_keeping_the_old_preset_changes_nothing(saved_twice: Browser, services: Services) -> None:
    saved_twice.click("replace_preset_no")
    assert temperatures(services) == [0.3]
    assert "replace_preset_yes" not in {button.key for button in saved_twice.at.button}
