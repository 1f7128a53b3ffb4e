"""How long an answer will take (S11), from how fast the model has been here, and how fast it could be.

seconds = prompt tokens not in the cache / prompt speed + new tokens / writing speed. Writing is bound by how
fast memory is read (F20). Pure arithmetic.
"""

from dataclasses import dataclass

from twokeys.types import EngineSpeed

UNUSED_BELOW = 0.4
"""With all layers on a card 60 to 90 % of what its memory allows is usual; below this it is hardly used."""
TELLING_READ_S = 0.002
"""Where a token's weights are read faster, what a token costs besides weighs too much for a verdict."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Seconds until the first token and until the longest allowed answer is written."""

    first_token_s: float | None
    total_s: float


def expect(
    speed: EngineSpeed | None, *, prompt_tokens: int, new_tokens: int, cached_tokens: int = 0
) -> Expectation | None:
    """Return what to expect, None while the model has never answered here.

    Without a known prompt speed, reading the prompt counts as nothing and first_token_s is None.
    """
    if speed is None or speed.tok_per_s <= 0:
        return None
    first_s = None
    if speed.prompt_tok_per_s:
        first_s = max(0, prompt_tokens - cached_tokens) / speed.prompt_tok_per_s
    return Expectation(first_s, (first_s or 0.0) + new_tokens / speed.tok_per_s)


def bandwidth_share(tok_per_s: float, bytes_per_token: float, bytes_per_s: float) -> float | None:
    """Return the share of what memory allows that was reached, None where it would tell nothing (F20)."""
    if tok_per_s <= 0 or bytes_per_s <= 0 or bytes_per_token / bytes_per_s < TELLING_READ_S:
        return None
    return tok_per_s * bytes_per_token / bytes_per_s


def is_card_unused(share: float) -> bool:
    """Return whether an answer was so slow that the card which holds all layers is probably not used."""
    return share < UNUSED_BELOW
