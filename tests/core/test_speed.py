"""How long an answer will take, from recorded speeds, and what memory would allow."""

import pytest

from twokeys.core.speed import bandwidth_share, expect, is_card_unused
from twokeys.types import EngineSpeed


def test_expected_seconds_follow_from_recorded_speeds() -> None:
    speed = EngineSpeed("m", tok_per_s=50.0, prompt_tok_per_s=200.0, samples=3)
    expected = expect(speed, prompt_tokens=500, cached_tokens=100, new_tokens=1000)
    assert expected is not None
    assert (expected.first_token_s, expected.total_s) == (2.0, 22.0)
    assert expect(None, prompt_tokens=1, new_tokens=1) is None


def test_the_speed_of_a_card_is_held_against_what_its_memory_allows() -> None:
    q4 = 4.7e9
    usual, on_processor = bandwidth_share(96, q4, 504e9), bandwidth_share(9, q4, 504e9)  # RTX 4070 SUPER
    assert usual == pytest.approx(0.895, abs=0.001) and not is_card_unused(usual)
    assert on_processor is not None and is_card_unused(on_processor)
    assert bandwidth_share(90, 0.4e9, 1008e9) is None, "a small model's tokens cost more than reading it"
    assert bandwidth_share(90, q4, 0) is None and bandwidth_share(0, q4, 504e9) is None


def test_without_a_prompt_speed_only_the_writing_is_counted() -> None:
    speed = EngineSpeed("m", tok_per_s=50.0, prompt_tok_per_s=None, samples=1)
    expected = expect(speed, prompt_tokens=500, new_tokens=100)
    assert expected is not None
    assert (expected.first_token_s, expected.total_s) == (None, 2.0)


def test_more_in_the_cache_than_in_the_prompt_is_no_negative_time() -> None:
    speed = EngineSpeed("m", tok_per_s=50.0, prompt_tok_per_s=200.0, samples=1)
    expected = expect(speed, prompt_tokens=10, cached_tokens=40, new_tokens=50)
    assert expected is not None
    assert (expected.first_token_s, expected.total_s) == (0.0, 1.0)
