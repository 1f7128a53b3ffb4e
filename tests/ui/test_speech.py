"""The switches for reading aloud and dictation. What they do: tests/browser/test_speech.py."""

from collections.abc import Callable

import pytest
from tests.ui.conftest import Browser

from twokeys.i18n import translate
from twokeys.services import Services

Open = Callable[..., Browser]


@pytest.mark.parametrize("name", ["read_aloud", "dictation"])
def test_a_switch_is_off_at_first_says_what_it_does_and_is_remembered(
    open_tab: Open, services: Services, name: str
) -> None:
    tab = open_tab("settings")
    assert not tab.at.toggle(key=f"settings_{name}").value
    assert translate(f"settings.speech.{name}_note", "en") in tab.text()
    tab.at.toggle(key=f"settings_{name}").set_value(True).run()
    tab.check()
    assert services.repository.get_setting(f"ui.{name}") is True
    assert open_tab("settings").at.toggle(key=f"settings_{name}").value
