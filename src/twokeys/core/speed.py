"""How long an answer will take, from how fast the model has been on this machine (S11).

seconds = prompt tokens not in the cache / prompt speed + new tokens / writing speed. Pure arithmetic.
"""

from dataclasses import dataclass

from twokeys.types import EngineSpeed


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
