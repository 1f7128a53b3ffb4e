"""The memory page, the ceiling under the length, the recovery steps by hand, and the recover button."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.engines.scripted import Fail, Say
from twokeys.errors import EngineOutOfMemory
from twokeys.i18n import translate
from twokeys.services import Services, build_services
from twokeys.types import WorkerSpec
from twokeys.web.runtime import set_services

Make = Callable[..., Services]


@pytest.fixture
def real(smollm2: Path) -> Iterator[Services]:
    """Services whose model is a real file; no test here starts it."""
    services = build_services(load_config(model=str(smollm2)))
    set_services(services)
    yield services
    set_services(None)
    services.close()


def spec(services: Services) -> WorkerSpec:
    expected = services.engines.worker_spec()
    assert expected is not None
    return expected


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_is_drawn_in_both_languages(real: Services, language: str) -> None:
    tab = Browser(real, "memory", language, plain="1").run()
    text = tab.text()
    for key in ("memory.title", "memory.part.kv", "memory.part.others", "memory.models.title"):
        assert translate(key, language) in text
    assert "112 MiB" in text, "what 2048 to 4096 really costs"


def test_the_bar_follows_context_and_cache_type(real: Services) -> None:
    tab = Browser(real, "memory", plain="1").run()
    assert "180 MiB" in tab.text(), "8192 tokens at f16"
    tab.at.select_slider(key="memory_context").set_value(2048).run()
    tab.check()
    assert "45 MiB" in tab.text()
    tab.at.segmented_control(key="memory_kv").set_value("q8_0").run()
    tab.check()
    assert "24 MiB" in tab.text()


def test_the_bar_shows_what_the_next_answer_may_take(real: Services) -> None:
    tab = Browser(real, "memory", plain="1").run()
    assert "45 MiB" in tab.text(), "2048 of 8192 tokens"
    tab.at.select_slider(key="memory_length").set_value(4096).run()
    tab.check()
    assert "90 MiB" in tab.text()
    assert "180 MiB" in tab.text(), "the whole cache is told beside it"


def test_what_was_chosen_can_be_used_and_given_back(real: Services) -> None:
    tab = Browser(real, "memory", plain="1").run()
    tab.at.select_slider(key="memory_context").set_value(2048).run()
    tab.click("memory_use")
    assert spec(real).context == 2048
    tab.run()
    tab.click("memory_own_reset")
    assert spec(real).context == 8192


def test_a_choice_that_cannot_fit_is_refused_with_numbers(real: Services) -> None:
    tab = Browser(real, "memory", plain="1").run()
    tab.at.number_input(key="memory_own_limit_mib").set_value(200)
    tab.at.number_input(key="memory_own_context").set_value(8192)
    tab.at.button(key="memory_own_save").click().run()
    tab.check()
    assert "200 MiB" in tab.text() and "8192" in tab.text()
    assert spec(real).context == 8192 and not real.memory.overrides(spec(real).model_name)


def test_the_length_carries_the_ceiling_of_this_machine_and_its_reason(real: Services) -> None:
    real.decide_memory(Overrides(context=2048))
    tab = Browser(real, plain="1").run()
    assert translate("sidebar.length.ceiling.over", "en", tokens="1536") in tab.text()
    assert f"left:{(1536 - 512) / (4096 - 512):.1%}" in tab.text(), "the mark on the slider"
    tab.at.slider(key="key_max_new_tokens").set_value(1024).run()
    tab.check()
    reported = translate(
        "sidebar.length.ceiling.context", "en", tokens="1536", context="2048", prompt="512", possible="8192"
    )
    assert reported in tab.text()


def test_each_step_by_hand_does_only_itself(real: Services) -> None:
    tab = Browser(real, "memory", plain="1").run()
    tab.click("take_page_temperature")
    settings = real.repository.get_conversation(tab.conversation).settings
    assert settings.sampling.temperature == 0.5 and settings.sampling.max_new_tokens == 2048
    tab.click("take_page_length")
    assert spec(real).context == 6144
    assert real.repository.get_conversation(tab.conversation).settings.sampling.max_new_tokens == 1536


def short_once(services_of: Make) -> tuple[Services, Browser, str]:
    """A tab whose answer ran out of memory after its first words; it can go on."""
    short = [Say("Once upon a time"), Fail(EngineOutOfMemory(reason="cudaMalloc failed: out of memory"))]
    rest = [Say(" there was a keeper.")]
    services = services_of(lambda request: rest if request.prefix else short)
    tab = Browser(services, plain="1").run()
    tab.say("Tell me a story")
    finish(services, tab.conversation)
    tab.run()
    return services, tab, services.conversations.messages(tab.conversation)[-1].id


def test_an_answer_that_ran_out_of_memory_offers_recovery_and_goes_on(make_services: Make) -> None:
    services, tab, answer_id = short_once(make_services)
    answer = services.repository.get_message(answer_id)
    assert answer.error is not None and answer.content == "Once upon a time"
    tab.click(f"recover_{answer.id}")
    finish(services, tab.conversation)
    grown = services.repository.get_message(answer.id)
    assert grown.content == "Once upon a time there was a keeper." and grown.error is None
    assert [step["step"] for step in grown.provenance.recovery] == ["length"], "a server has no worker"
    assert services.repository.get_conversation(tab.conversation).settings.sampling.max_new_tokens == 1536


def test_the_page_says_what_the_button_has_changed(make_services: Make) -> None:
    services, tab, answer = short_once(make_services)
    tab.click(f"recover_{answer}")
    finish(services, tab.conversation)
    tab.run()
    assert "these steps were taken" in tab.text() and "Shorten the answer 2048 → 1536" in tab.text()
    tab.click(f"details_{answer}")
    assert translate("chat.details.recovery", "en") in tab.text()


def test_steps_taken_by_hand_are_told_under_the_answer_and_in_its_details(make_services: Make) -> None:
    services, tab, answer = short_once(make_services)
    tab.click(f"recover_steps_{answer}")
    tab.click("take_dialog_temperature")
    tab.click("recover_go_on")
    finish(services, tab.conversation)
    tab.run()
    [step] = services.repository.get_message(answer).provenance.recovery
    assert step == {"step": "temperature", "before": 0.7, "after": 0.5}
    reported = "Lower the temperature 0.7 → 0.5 (steadies the text, frees no memory)"
    assert reported in tab.text()
    tab.click(f"details_{answer}")
    assert tab.text().count(reported) == 2


def test_steps_by_hand_are_kept_when_the_button_takes_over(make_services: Make) -> None:
    services, tab, answer = short_once(make_services)
    services.recovery.apply(tab.conversation, "temperature", answer)
    services.recovery.start(answer)
    finish(services, tab.conversation)
    steps = services.repository.get_message(answer).provenance.recovery
    assert [step["step"] for step in steps] == ["temperature", "length"]


def test_a_smaller_model_is_offered_only_when_the_other_steps_are_spent(real: Services) -> None:
    talk = real.conversations.new()
    order = [step.name for step in real.recovery.steps(talk.id)]
    assert order == ["clear", "length", "temperature", "kv"]
    for name in order:
        real.recovery.apply(talk.id, name)
    steps = real.recovery.steps(talk.id)
    assert [step.name for step in steps][:2] == ["clear", "length"], "it can be shorter still"
    smaller = tuple(real.memory.smaller(real.memory_plan()))
    assert [step.names for step in steps[2:]] == ([smaller] if smaller else [])
