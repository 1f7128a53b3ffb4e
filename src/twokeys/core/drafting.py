"""Which answers are drafted for, and why not: speculation gives up token probabilities and, in part, seeds.

llama.cpp tells no probabilities for drafted tokens that were accepted, and checks several tokens in one
batch, whose last digits may decide a near tie otherwise. So an answer has drafts or probabilities, and
where a seed is promised there are none. Starts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from twokeys.core.memory.drafts import AUTO, OFF
from twokeys.types import Sampling, Settings

DraftReason = Literal["chosen", "task", "model", "seed", "probabilities"]
"""Why an answer is written with drafts (a person chose them, what is done asks for them, they were decided
for the model), or without although they were asked for."""

COPYING = frozenset({"rewrite", "condense"})
"""What the writer does to a text that is there: most of the answer stands in the prompt already."""
FAST_EDITING = "simple"


@dataclass(frozen=True, slots=True)
class DraftChoice:
    """What an answer asks for, by its name (Settings.draft), and why."""

    name: str
    reason: DraftReason

    def facts(self, used: str | None) -> Mapping[str, str]:
        """Return what is written down with the answer. used: what drafts in the engine, None for nothing."""
        if used is not None:
            return {"name": used, "reason": self.reason}
        asked = self.name == OFF and self.reason in ("seed", "probabilities")
        return {"name": OFF, "reason": self.reason} if asked else {}


def choose_draft(settings: Settings, sampling: Sampling, operation: str | None = None) -> DraftChoice:
    """Return what an answer asks for. operation: what the writer does, None elsewhere."""
    chosen = settings.draft not in (AUTO, OFF)
    wanted = settings.draft
    if wanted == AUTO and operation in COPYING:
        wanted = FAST_EDITING
    if wanted == OFF:
        return DraftChoice(OFF, "chosen")
    if sampling.seed is not None:
        return DraftChoice(OFF, "seed" if wanted != AUTO else "model")
    if settings.keep_probs or settings.guard.get("uncertainty", OFF) != OFF:
        return DraftChoice(OFF, "probabilities" if wanted != AUTO else "model")
    return DraftChoice(wanted, "chosen" if chosen else "task" if wanted != AUTO else "model")
