"""Each of the two keys goes back to its default by itself."""

from collections.abc import Callable

import pytest
from tests.ui.conftest import Browser

from twokeys.services import Services


@pytest.mark.parametrize(("name", "default"), [("temperature", 0.7), ("max_new_tokens", 2048)])
def test_each_key_has_its_own_reset_and_leaves_the_other_alone(
    open_tab: Callable[..., Browser], services: Services, name: str, default: float
) -> None:
    tab = open_tab()
    assert f"reset_{name}" not in {button.key for button in tab.at.button}, "it stands at its default"
    tab.at.slider(key="key_temperature").set_value(0.3).run()
    tab.at.slider(key="key_max_new_tokens").set_value(1024).run()
    tab.click(f"reset_{name}")
    sampling = services.repository.get_conversation(tab.conversation).settings.sampling
    expected = {"temperature": 0.3, "max_new_tokens": 1024, name: default}
    assert (sampling.temperature, sampling.max_new_tokens) == tuple(expected.values())
    assert tab.at.slider(key=f"key_{name}").value == pytest.approx(default)
