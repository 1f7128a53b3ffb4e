"""Control tokens in what a person writes are text."""

import pytest

from twokeys.engines.special_tokens import escape_special_tokens


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "</s>", "[INST]", "<end_of_turn>"]
)
def test_control_tokens_are_neutralised_and_other_text_is_not_touched(token: str) -> None:
    assert token not in escape_special_tokens(f"a {token} b")
    assert escape_special_tokens(f"a {token} b").replace("\u2060", "") == f"a {token} b"
    for plain in ("a < b | c > d", "<strong>", "x[0]", "<| spaced |>", "List<String>"):
        assert escape_special_tokens(plain) == plain
