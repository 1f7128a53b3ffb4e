"""Whether drafting is faster on this machine: a text copied with and without it, in 30 seconds.

The text is one that drafts are for; what does not gain here gains nowhere. Nothing is kept here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from twokeys.core.trials import ENOUGH, measure
from twokeys.engine import OwnedEngine
from twokeys.types import Draft, WorkerSpec

LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class DraftTrial:
    """What came of a trial: tokens per second without and with drafts, and the share that was accepted."""

    name: str
    without_tok_per_s: float
    with_tok_per_s: float
    accepted: float

    @property
    def gain(self) -> float:
        return self.with_tok_per_s / self.without_tok_per_s

    @property
    def faster(self) -> bool:
        """Whether it is worth having."""
        return self.gain >= ENOUGH


async def try_draft(
    make: Callable[[WorkerSpec], OwnedEngine], spec: WorkerSpec, draft: Draft, limit_s: float = LIMIT_S
) -> DraftTrial:
    """Start one engine after the other, as memory is planned for one, and measure both.

    make: returns an engine that has not started. Raises EngineError, also where the time was too short for a
    first measurement of both.
    """
    specs = (replace(spec, draft=None), replace(spec, draft=draft))
    measured = await measure(make, specs, limit_s, "drafts.refused.slow")
    plain, drafting = measured[0], measured[1]
    return DraftTrial(draft.name, plain.tok_per_s, drafting.tok_per_s, drafting.accepted)
