"""How to go on differently after a loop: adjusted sampling, and what was changed.

The steps grow with each attempt. Proposes only; the caller generates.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from twokeys.types import Sampling

MIN_TEMPERATURE = 0.5
MAX_TEMPERATURE = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter and its value before and after."""

    name: str
    before: float | int | None
    after: float | int


@dataclass(frozen=True, slots=True)
class Retry:
    """A proposal: the sampling to use, and every change from the former one."""

    sampling: Sampling
    changes: tuple[Change, ...]


def _new_seed() -> int:
    return secrets.randbelow(2**32 - 1)


def continue_differently(
    sampling: Sampling,
    *,
    attempt: int = 1,
    dry: bool = True,
    new_seed: Callable[[], int] = _new_seed,
) -> Retry:
    """Propose sampling that leaves a loop.

    attempt: 1 for the first try; later ones go further. dry: the engine knows the DRY sampler
    (llama.cpp does); else frequency and presence penalties are used. The temperature is nudged up,
    into 0.5 … 1.0; a temperature above that stays. The seed is always new.
    """
    step = max(1, attempt)
    temperature = round(min(MAX_TEMPERATURE, max(MIN_TEMPERATURE, sampling.temperature + 0.1 * step)), 2)
    wanted: dict[str, float | int] = {
        "seed": new_seed(),
        "temperature": max(temperature, sampling.temperature),
    }
    if dry:
        wanted["dry_multiplier"] = max(sampling.dry_multiplier, min(0.8 * step, 2.4))
        wanted["dry_allowed_length"] = min(sampling.dry_allowed_length, 2)
    else:
        wanted["frequency_penalty"] = max(sampling.frequency_penalty, min(0.3 * step, 1.0))
        wanted["presence_penalty"] = max(sampling.presence_penalty, min(0.2 * step, 0.6))
    if sampling.repetition_penalty < 1.05 and not dry:
        wanted["repetition_penalty"] = 1.05
    if sampling.top_k == 1:
        wanted["top_k"] = 20
    changes = tuple(
        Change(name, getattr(sampling, name), value)
        for name, value in wanted.items()
        if getattr(sampling, name) != value
    )
    return Retry(sampling.with_(**{change.name: change.after for change in changes}), changes)
