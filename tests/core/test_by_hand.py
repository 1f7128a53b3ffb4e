"""What follows when a person sets a parameter: it is pinned, and no preset is named that was not used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core import by_hand
from twokeys.core.advice.tasks import TASKS, advise
from twokeys.core.compare.column import Column
from twokeys.core.presets import BUILT_IN, Presets, matches
from twokeys.errors import BadParameter
from twokeys.types import Preset, Sampling, Settings


class OnePreset:
    """A store with one preset of a person's own."""

    own = Preset("mine", "own", {"temperature": 0.25, "seed": 3}, system_prompt="Be a poet.")

    def list_presets(self) -> list[Preset]:
        return [self.own]

    def save_preset(self, preset: Preset) -> None:
        raise NotImplementedError

    def rename_preset(self, old: str, new: str) -> None:
        raise NotImplementedError

    def delete_preset(self, name: str) -> None:
        raise NotImplementedError


PRESETS = Presets(OnePreset())
PRECISE = by_hand.choose_preset(Settings(), PRESETS, "precise")


def test_a_value_other_than_the_presets_ends_its_name_and_is_pinned() -> None:
    changed = by_hand.set_parameters(PRECISE, PRESETS, {"temperature": 1.5})
    assert changed.preset is None
    assert changed.sampling == PRECISE.sampling.with_(temperature=1.5)
    assert set(changed.pinned) == {"temperature", "max_new_tokens"}


def test_what_the_preset_says_nothing_of_leaves_its_name() -> None:
    changed = by_hand.set_parameters(PRECISE, PRESETS, {"seed": 7, "stop": ("END",)})
    assert changed.preset == "precise" and changed.sampling.stop == ("END",)
    assert {"seed", "stop"} <= set(changed.pinned)
    assert by_hand.set_parameters(PRECISE, PRESETS, {"temperature": 0.3}).preset == "precise"


def test_a_presets_values_are_pinned_when_a_person_chooses_it() -> None:
    assert PRECISE.preset == "precise"
    for task in TASKS:
        assert not {"temperature", "max_new_tokens"} & set(advise(task, PRECISE.pinned))


def test_a_reset_frees_the_parameter_and_ends_the_name() -> None:
    freed = by_hand.reset_parameters(PRECISE, PRESETS, ("temperature",))
    assert freed.sampling.temperature == Sampling().temperature
    assert freed.pinned == ("max_new_tokens",) and freed.preset is None


def test_another_system_prompt_ends_the_name_of_a_preset_with_one_alone() -> None:
    poet = by_hand.choose_preset(Settings(), PRESETS, "mine")
    assert by_hand.drop_stale_preset(poet, PRESETS).preset == "mine"
    assert by_hand.drop_stale_preset(with_system_prompt(poet, "Be a cook."), PRESETS).preset is None
    assert by_hand.drop_stale_preset(with_system_prompt(PRECISE, "Be a cook."), PRESETS).preset == "precise"


def test_a_preset_that_is_gone_is_no_longer_named_after_a_change() -> None:
    gone = Settings(preset="deleted")
    assert by_hand.set_parameters(gone, PRESETS, {"top_k": 3}).preset is None


@pytest.mark.parametrize("changes", [{"temprature": 1}, {"temperature": 9}, {"stop": "END"}])
def test_what_is_no_parameter_or_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        by_hand.set_parameters(PRECISE, PRESETS, changes)


@given(st.sampled_from(sorted(BUILT_IN)), st.floats(0, 2), st.integers(1, 4096))
def test_whatever_is_set_a_named_preset_has_all_its_values(name: str, heat: float, length: int) -> None:
    chosen = by_hand.choose_preset(Settings(), PRESETS, name)
    changed = by_hand.set_parameters(chosen, PRESETS, {"temperature": heat, "max_new_tokens": length})
    assert changed.preset is None or matches(BUILT_IN[name], changed)
    assert set(changed.pinned) >= {"temperature", "max_new_tokens"}


def test_a_comparisons_column_keeps_a_presets_name_only_with_its_values_and_system_prompt() -> None:
    poet = Column(Sampling(temperature=0.25, seed=3), preset="mine", system_prompt="Be a poet.")
    assert by_hand.change_column(poet, PRESETS, {"top_k": 5, "label": "A"}).preset == "mine"
    assert by_hand.change_column(poet, PRESETS, {"temperature": 0.3}).preset is None
    assert by_hand.change_column(poet, PRESETS, {"system_prompt": None}).preset is None
    precise = Column(PRECISE.sampling, preset="precise")
    assert by_hand.change_column(precise, PRESETS, {"system_prompt": "Be a cook."}).preset == "precise"


def test_values_that_no_person_chose_are_not_pinned_and_end_a_presets_name_only_where_they_change_it() -> (
    None
):
    assert by_hand.with_values(PRECISE, {"temperature": 0.3}) == PRECISE
    moved = by_hand.with_values(PRECISE, {"temperature": 0.9, "stop": ["END"]})
    assert (moved.preset, moved.pinned) == (None, PRECISE.pinned)
    assert moved.sampling == PRECISE.sampling.with_(temperature=0.9, stop=("END",))
    assert by_hand.with_values(PRECISE, {}, system_prompt="Be a cook.").preset is None
    with pytest.raises(BadParameter):
        by_hand.with_values(PRECISE, {"unknown": 1})


def test_a_preset_that_clears_memory_keeps_its_name_in_a_column_which_clears_nothing() -> None:
    creative = Column(by_hand.choose_preset(Settings(), PRESETS, "creative").sampling, preset="creative")
    assert by_hand.change_column(creative, PRESETS, {"label": "A"}).preset == "creative"
    assert by_hand.change_column(creative, PRESETS, {"temperature": 0.3}).preset is None


def with_system_prompt(settings: Settings, system_prompt: str) -> Settings:
    return Settings(
        **{**{n: getattr(settings, n) for n in Settings.__slots__}, "system_prompt": system_prompt}
    )
