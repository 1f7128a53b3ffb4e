"""The longest answer that is safe on this machine, and what sets that limit (S9)."""

from dataclasses import dataclass
from typing import Literal

from twokeys.core.memory.plan import LONGEST_ANSWER, USUAL_PROMPT_TOKENS, MemoryPlan


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The safe length in tokens. context: reserved now. possible_context: what memory would allow.

    reason: "refused" when not even this context fits, so that nothing is started; "memory" when no
    larger one fits here, "context" when a larger one could be chosen, "trained" when the model knows no
    larger one, "model" when it writes no longer answers, "server" when a server decides.
    """

    tokens: int
    context: int
    possible_context: int
    reason: Literal["refused", "memory", "context", "trained", "model", "server"]


def length_ceiling(plan: MemoryPlan) -> Ceiling:
    """Return the ceiling of a worker that runs, or would start, by this plan."""
    context = plan.choice.context
    tokens = max(0, min(LONGEST_ANSWER, context - USUAL_PROMPT_TOKENS))
    possible = max(plan.safe_context, context if plan.possible else 0)
    if not plan.possible:
        return Ceiling(tokens, context, possible, "refused")
    if tokens >= LONGEST_ANSWER:
        return Ceiling(tokens, context, possible, "model")
    if context >= plan.shape.train_context:
        return Ceiling(tokens, context, possible, "trained")
    return Ceiling(tokens, context, possible, "context" if possible > context else "memory")


def server_ceiling(context: int) -> Ceiling:
    """Return the ceiling of a server whose context is its own business."""
    tokens = max(0, min(LONGEST_ANSWER, context - USUAL_PROMPT_TOKENS))
    return Ceiling(tokens, context, context, "server")
