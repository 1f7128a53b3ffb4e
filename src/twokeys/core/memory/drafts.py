"""Which way of drafting a name stands for, how many tokens it may draft, and which models fit each other.

Only values: files, memory and the engine are others' business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twokeys.errors import BadInput, Reason
from twokeys.types import Draft, DraftKind

OFF = "off"
AUTO = "auto"
LONGEST: Mapping[DraftKind, int] = {"simple": 16, "mod": 64, "model": 4}
"""Tokens drafted at once: the figures that benchmarks/speculation.py was run with."""
MOST_VOCABULARY_APART = 128
"""llama.cpp lets vocabularies differ by so many entries at their end; Qwen2.5's sizes do."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What must agree between a model and the one that drafts for it, as their files tell it."""

    kind: str
    splitting: str
    size: int
    first: int | None
    last: int | None

    @classmethod
    def of(cls, values: Mapping[str, Any], size: int) -> "Vocabulary":
        """Read it from a file's metadata. size: the entries of its input table."""
        prefix = "tokenizer.ggml"
        return cls(
            str(values.get(f"{prefix}.model", "")),
            str(values.get(f"{prefix}.pre", "")),
            size,
            values.get(f"{prefix}.bos_token_id"),
            values.get(f"{prefix}.eos_token_id"),
        )


def make_draft(name: str, *, batch: int, parallel: int, path: str | None = None) -> Draft | None:
    """Return what a name stands for; None for "off" and "auto", and where a batch has no room for it.

    All parallel answers share one batch, in which each has what it drafted and one token more: a longer
    draft would end the engine (an assertion of llama.cpp). path: of the model that the name is of.
    """
    if name in (OFF, AUTO):
        return None
    kind: DraftKind = "simple" if name == "simple" else "mod" if name == "mod" else "model"
    tokens = min(LONGEST[kind], batch // parallel - 1)
    return Draft(kind, tokens, name, path) if tokens > 0 else None


def check_vocabularies(model: str, own: Vocabulary, drafter: str, its: Vocabulary) -> None:
    """Refuse a draft model whose tokens are not the model's: the engine would go on without it in silence.

    Raises BadInput with the reason.
    """
    same = (own.kind, own.splitting, own.last) == (its.kind, its.splitting, its.last)
    if not same or abs(own.size - its.size) > MOST_VOCABULARY_APART:
        raise BadInput(reason=Reason("drafts.refused.vocabulary", model=model, drafter=drafter))
