"""“Continue differently” changes sampling, says what it changed, and stays within the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.guard import continue_differently, describe_changes
from twokeys.types import Sampling


def test_llama_cpp_gets_dry_and_a_new_seed() -> None:
    retry = continue_differently(Sampling(temperature=0.0, seed=7), new_seed=lambda: 99)
    assert retry.sampling.seed == 99
    assert retry.sampling.dry_multiplier == 0.8
    assert retry.sampling.temperature == 0.5
    assert {change.name for change in retry.changes} == {"seed", "temperature", "dry_multiplier"}


def test_other_servers_get_penalties() -> None:
    retry = continue_differently(Sampling(), dry=False)
    assert retry.sampling.dry_multiplier == 0.0
    assert retry.sampling.frequency_penalty == 0.3


def test_second_attempt_goes_further() -> None:
    first = continue_differently(Sampling())
    second = continue_differently(Sampling(), attempt=2)
    assert second.sampling.dry_multiplier > first.sampling.dry_multiplier


@pytest.mark.parametrize("language", ["zh", "en"])
def test_changes_are_told_in_words(language: str) -> None:
    line = describe_changes(continue_differently(Sampling(), new_seed=lambda: 4242).changes, language)
    assert "DRY" in line
    assert "4242" in line
    assert "{" not in line


@given(st.floats(0, 2), st.integers(1, 50), st.booleans(), st.floats(0, 5))
def test_any_sampling_gives_a_valid_proposal(
    temperature: float, attempt: int, dry: bool, multiplier: float
) -> None:
    sampling = Sampling(temperature=temperature, dry_multiplier=multiplier)
    retry = continue_differently(sampling, attempt=attempt, dry=dry)
    assert retry.sampling.temperature >= temperature
    assert retry.changes
