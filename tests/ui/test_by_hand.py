"""Every door of the chat page by which a person sets a parameter pins it and lets go of the preset."""

from collections.abc import Callable

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.services import Services
from twokeys.types import Settings

Open = Callable[..., Browser]


def settings_of(services: Services, tab: Browser) -> Settings:
    return services.repository.get_conversation(tab.conversation).settings


def with_preset(open_tab: Open, name: str = "precise") -> Browser:
    tab = open_tab()
    tab.at.button_group(key="key_combination").set_value(name).run()
    tab.check()
    return tab


def test_a_slider_pins_its_parameter_and_ends_the_presets_name(open_tab: Open, services: Services) -> None:
    tab = with_preset(open_tab)
    assert settings_of(services, tab).preset == "precise"
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    tab.check()
    now = settings_of(services, tab)
    assert now.preset is None and "temperature" in now.pinned


def test_a_stop_string_is_pinned_like_every_other_parameter(open_tab: Open, services: Services) -> None:
    tab = with_preset(open_tab)
    tab.at.text_area(key="key_stop").set_value("END").run()
    tab.check()
    now = settings_of(services, tab)
    assert now.sampling.stop == ("END",) and "stop" in now.pinned


def test_a_stop_string_ends_the_name_of_a_preset_that_sets_others(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.text_area(key="key_stop").set_value("END").run()
    tab.at.text_input(key="preset_name").set_value("weekly")
    tab.click("preset_save_button")
    tab.click("preset_use_weekly")
    assert settings_of(services, tab).preset == "weekly"
    tab.at.text_area(key="key_stop").set_value("###").run()
    tab.check()
    assert settings_of(services, tab).preset is None


@pytest.mark.parametrize("name", ["temperature", "max_new_tokens"])
def test_a_reset_frees_the_key_and_ends_the_presets_name(
    open_tab: Open, services: Services, name: str
) -> None:
    tab = with_preset(open_tab)
    tab.click(f"reset_{name}")
    now = settings_of(services, tab)
    assert now.preset is None and name not in now.pinned


def test_a_combination_without_its_clearing_is_not_named(open_tab: Open, services: Services) -> None:
    tab = with_preset(open_tab, "creative")
    assert settings_of(services, tab).preset == "creative"
    clearing = next(toggle for toggle in tab.at.toggle if str(toggle.key).startswith("key_clear_after"))
    clearing.set_value(False).run()
    tab.check()
    assert settings_of(services, tab).preset is None


def test_an_answer_shortened_in_the_dialog_pins_its_length_and_names_no_preset(
    make_services: Callable[..., Services],
) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.at.button_group(key="key_combination").set_value("professional").run()
    tab.say("Long " * 200)
    tab.click("not_fit_shorten")
    finish(services, tab.conversation)
    now = settings_of(services, tab)
    assert now.sampling.max_new_tokens < 2048 and "max_new_tokens" in now.pinned
    answer = services.repository.branch(tab.conversation)[-1]
    assert answer.provenance.preset is None
    assert answer.provenance.sampling_set["max_new_tokens"] == now.sampling.max_new_tokens
