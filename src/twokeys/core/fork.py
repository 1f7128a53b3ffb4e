"""Forking an answer: the text and tokens before one place, and another token put there. Pure functions.

Probabilities and token ids are kept side by side but may differ in number (an engine that tells no
ids, a tail cut off by the guard): ids are used only where both name the same tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twokeys.errors import BadInput, Reason
from twokeys.types import Candidate, Message, TokenProb


@dataclass(frozen=True, slots=True)
class Before:
    """An answer up to one token. token_ids: empty when they are not known exactly."""

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fork:
    """How a forked version begins. origin: what its provenance says of it."""

    text: str
    token_ids: tuple[int, ...]
    probs: tuple[TokenProb, ...]
    origin: Mapping[str, Any]


def text_before(answer: Message, probs: Sequence[TokenProb], token_index: int) -> Before:
    """Return the answer before its token number `token_index`. Raises BadInput outside of it."""
    if not 0 <= token_index < len(probs):
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    at = probs[token_index]
    start = min(at.start, len(answer.content))
    if at.text and not answer.content.startswith(at.text, start):
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    known = tuple(prob.token_id for prob in probs[:token_index])
    exact = answer.token_ids[:token_index] == known and _spells(probs[:token_index], start)
    return Before(answer.content[:start], known if exact else ())


def fork_answer(answer: Message, probs: Sequence[TokenProb], token_index: int, candidate: Candidate) -> Fork:
    """Return the beginning of the version in which `candidate` stands at `token_index`.

    Raises BadInput for a place without probabilities or a candidate that is a piece of a character.
    """
    before = text_before(answer, probs, token_index)
    if not candidate.text or _is_piece(candidate.text):
        raise BadInput(reason=Reason("comparison.error.piece"))
    at = probs[token_index]
    known = next((c for c in at.alternatives if c.token_id == candidate.token_id), candidate)
    chosen = TokenProb(candidate.text, candidate.token_id, known.logprob, len(before.text), at.alternatives)
    has_ids = candidate.token_id >= 0 and (before.token_ids or token_index == 0)
    ids = (*before.token_ids, candidate.token_id) if has_ids else ()
    origin = {
        "answer": answer.id,
        "token": token_index,
        "at_char": len(before.text),
        "before": {"text": at.text, "token_id": at.token_id, "logprob": at.logprob},
        "after": {"text": candidate.text, "token_id": candidate.token_id, "logprob": known.logprob},
    }
    before_fork = [replace(prob) for prob in probs[:token_index]]
    return Fork(before.text + candidate.text, ids, (*before_fork, chosen), origin)


def _spells(probs: Sequence[TokenProb], end: int) -> bool:
    """Whether the tokens make whole characters up to `end`: none of them reaches beyond it."""
    return not probs or probs[-1].start + len(probs[-1].text) == end


def _is_piece(text: str) -> bool:
    return "\ufffd" in text or (text.startswith("<0x") and text.endswith(">"))
