"""Presets: what they set, and what they leave alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core import presets
from twokeys.engines.scripted import ScriptedEngine
from twokeys.errors import BadFile, BadInput, NotFound, PresetTaken
from twokeys.types import Preset, Sampling, Settings

from .making import MakeServices


def test_the_golden_combinations_are_those_of_the_specification() -> None:
    result = {p.name: (dict(p.changes), p.clear_after_answer) for p in presets.GOLDEN_COMBINATIONS}
    assert result == {
        "precise": ({"temperature": 0.3, "max_new_tokens": 1024}, False),
        "professional": ({"temperature": 0.7, "max_new_tokens": 2048}, False),
        "creative": ({"temperature": 0.9, "max_new_tokens": 3072}, True),
    }


def test_the_scenarios_set_only_the_length() -> None:
    lengths = {p.name: p.changes for p in presets.SCENARIOS}
    assert lengths == {
        "qa": {"max_new_tokens": 512},
        "code": {"max_new_tokens": 1024},
        "draft": {"max_new_tokens": 2048},
        "dialogue": {"max_new_tokens": 3072},
        "report": {"max_new_tokens": 3584},
    }


def test_a_preset_touches_only_what_it_sets() -> None:
    before = Settings(
        sampling=Sampling(temperature=1.1, top_k=99, seed=4), system_prompt="be kind", clear_after_answer=True
    )
    after = presets.apply(presets.BUILT_IN["code"], before)
    assert after.sampling == before.sampling.with_(max_new_tokens=1024)
    assert (after.system_prompt, after.clear_after_answer, after.preset) == ("be kind", True, "code")


def test_a_combination_also_says_whether_to_clear() -> None:
    creative = presets.apply(presets.BUILT_IN["creative"], Settings())
    assert creative.clear_after_answer
    assert not presets.apply(presets.BUILT_IN["precise"], creative).clear_after_answer


def test_a_name_that_is_taken_is_refused_unless_the_preset_may_be_replaced(
    make_services: MakeServices,
) -> None:
    own = make_services(ScriptedEngine()).presets
    own.save("weekly", Settings(sampling=Sampling(temperature=0.2)))
    own.save("Friday", Settings())
    with pytest.raises(PresetTaken) as refused:
        own.save(" weekly ", Settings(sampling=Sampling(temperature=0.9)))
    assert "weekly" in refused.value.message("zh") and "weekly" in refused.value.message("en")
    assert own.get("weekly").changes["temperature"] == 0.2
    with pytest.raises(PresetTaken):
        own.rename("Friday", "weekly")
    own.save("weekly", Settings(sampling=Sampling(temperature=0.9)), replace=True)
    assert own.get("weekly").changes["temperature"] == 0.9


def test_own_presets_are_saved_renamed_and_deleted(make_services: MakeServices) -> None:
    own = make_services(ScriptedEngine()).presets
    settings = Settings(sampling=Sampling(temperature=0.25, stop=("END",)), system_prompt="terse")
    own.save("  My  own ", settings)
    assert own.get("My own").kind == "own"
    assert own.apply("My own", Settings()).sampling == settings.sampling
    assert own.apply("My own", Settings()).system_prompt == "terse"
    own.rename("My own", "另一个")
    with pytest.raises(NotFound):
        own.get("My own")
    own.delete("另一个")
    assert [p.kind for p in own.list()].count("own") == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "precise"])
def test_an_unusable_name_is_refused(make_services: MakeServices, name: str) -> None:
    with pytest.raises(BadInput):
        make_services(ScriptedEngine()).presets.save(name, Settings())


def test_built_in_presets_cannot_be_deleted_or_overwritten_by_renaming(make_services: MakeServices) -> None:
    own = make_services(ScriptedEngine()).presets
    own.save("mine", Settings())
    own.save("yours", Settings())
    for act in (lambda: own.delete("precise"), lambda: own.rename("mine", "yours")):
        with pytest.raises(BadInput):
            act()


def test_every_built_in_preset_has_a_name_and_a_reason_in_both_languages(make_services: MakeServices) -> None:
    own = make_services(ScriptedEngine()).presets
    for preset in presets.BUILT_IN.values():
        for language in ("zh", "en"):
            assert own.label(preset, language) and own.why(preset, language)
    assert own.get("严谨").name == own.get("Precise").name == "precise"


def test_exported_presets_come_back_and_taken_names_get_a_number(make_services: MakeServices) -> None:
    own = make_services(ScriptedEngine()).presets
    own.save("mine", Settings(sampling=Sampling(temperature=0.2), system_prompt='two\nlines "quoted"'))
    text = own.export_toml()
    imported = own.import_toml(text)
    assert [preset.name for preset in imported] == ["mine (2)"]
    assert own.get("mine (2)").changes == own.get("mine").changes
    assert own.get("mine (2)").system_prompt == 'two\nlines "quoted"'
    assert [p.name for p in own.import_toml(own.export_toml(["creative"]))] == ["creative (2)"]


@pytest.mark.parametrize(
    "text",
    [
        "not = toml = at all",
        "",
        "preset = 3",
        "[[preset]]\ntemperature = 0.5",
        '[[preset]]\nname = "hot"\ntemperature = 9',
        '[[preset]]\nname = "odd"\nheat = 1',
        '[[preset]]\nname = "x"\nclear_after_answer = "yes"',
    ],
)
def test_a_bad_file_is_refused_whole(make_services: MakeServices, text: str) -> None:
    own = make_services(ScriptedEngine()).presets
    good = '[[preset]]\nname = "good"\ntemperature = 0.5\n'
    with pytest.raises(BadFile):
        own.import_toml(good + text if text.startswith("[[") else text)
    assert [p for p in own.list() if p.kind == "own"] == []


@given(
    st.floats(0, 2),
    st.integers(1, 32768),
    st.lists(st.text(min_size=1, max_size=5).filter(lambda s: s.isprintable()), max_size=3),
    st.booleans(),
    st.text(max_size=30).filter(str.isprintable),
)
def test_any_preset_survives_toml(
    temperature: float, length: int, stop: list[str], clear: bool, system_prompt: str
) -> None:
    preset = Preset(
        "any",
        "own",
        {"temperature": temperature, "max_new_tokens": length, "stop": stop},
        clear,
        system_prompt,
    )
    assert presets.from_toml(presets.to_toml([preset])) == [preset]
