"""What the options of `twokeys chat` make of a conversation's settings."""

from collections.abc import Iterator

import pytest

from twokeys.cli.chat import choose_settings, choose_task, filled
from twokeys.config import load_config
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadInput
from twokeys.services import Services, build_services
from twokeys.types import SavedPrompt


@pytest.fixture
def scripted() -> Iterator[Services]:
    services = build_services(load_config(), engine=ScriptedEngine())
    yield services
    services.close()


@pytest.mark.parametrize(
    ("temperature", "task", "preset", "used"),
    [
        (None, None, "precise", 0.3),
        (1.5, None, None, 1.5),
        (0.3, None, "precise", 0.3),
        (None, "brainstorm", "precise", 0.3),
        (1.5, "brainstorm", None, 1.5),
    ],
)
def test_an_option_is_pinned_and_a_preset_named_only_with_its_values(
    scripted: Services, temperature: float | None, task: str | None, preset: str | None, used: float
) -> None:
    changes = {"seed": 7} | ({} if temperature is None else {"temperature": temperature})
    settings = choose_settings(scripted, None, "precise", changes, None)
    if task is not None:
        settings = choose_task(scripted, settings, task, "Ideas for a picnic")
    assert (settings.preset, settings.sampling.temperature) == (preset, used)
    assert settings.sampling.max_new_tokens == 1024, "the preset's length is a choice of the person too"
    assert set(settings.pinned) == {"temperature", "max_new_tokens", "seed"}


def test_a_task_that_moves_a_conversations_values_ends_its_presets_name(scripted: Services) -> None:
    precise = scripted.presets.apply("precise", choose_settings(scripted, None, None, {}, None))
    moved = choose_task(scripted, precise, "brainstorm", "Ideas for a picnic")
    assert moved.sampling.temperature == 0.9 and moved.preset is None


def test_a_stored_prompt_brings_its_keys_and_an_option_wins(scripted: Services) -> None:
    prompt = SavedPrompt("Review", "{{code}}", {"temperature": 0.3, "max_new_tokens": 64}, "Be careful.")
    settings = choose_settings(scripted, None, None, {"temperature": 0.1}, None, None, prompt)
    assert (settings.sampling.temperature, settings.sampling.max_new_tokens) == (0.1, 64)
    assert settings.system_prompt == "Be careful."


def test_the_text_goes_into_the_first_blank_without_a_value_else_below_the_prompt() -> None:
    prompt = SavedPrompt("Translate", "Into {{language=Chinese}}: {{text}}")
    assert filled(prompt, ["language=French"], "Good morning") == "Into French: Good morning"
    assert filled(prompt, ["text=a = b"], None) == "Into Chinese: a = b"
    assert filled(prompt, ["text=Hello"], "and briefly") == "Into Chinese: Hello\n\nand briefly"
    with pytest.raises(BadInput, match="text"):
        filled(prompt, (), None)
    with pytest.raises(BadInput, match="tone"):
        filled(prompt, ["tone=mild"], "Good morning")
