"""Token probabilities of an answer that was written without: it is read once more, token by token.

The engine is held to the very tokens by a grammar of token ids, so what it tells is what it would have told
while it wrote (the same to the last digit where the answer is written alone). It takes about as long as
writing: llama.cpp tells no probabilities of a prompt. All of them or none are kept, as half a heat map
would mislead.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from twokeys.core.answer_plan import KEPT_CANDIDATES, AnswerParts, AnswerPlan
from twokeys.core.conversations import Conversations, Turn
from twokeys.core.jobs import JobManager, JobSpec
from twokeys.core.memory.drafts import OFF
from twokeys.core.ports import ChatStore, EngineSource
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine, PromptEngine
from twokeys.errors import BadInput, Reason
from twokeys.types import Sampling, TokenProb

LONGEST_S = 900.0
BROKEN = "\ufffd"
"""Stands in a text for bytes that are no whole character."""
MOST_PIECES = 8
HELD = Sampling(temperature=0.0, repetition_penalty=1.0)


class ProbabilityReader:
    """Reads finished answers again, each in a job of its own."""

    def __init__(
        self,
        store: ChatStore,
        conversations: Conversations,
        parts: AnswerParts,
        jobs: JobManager,
        engines: EngineSource,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._parts = parts
        self._jobs = jobs
        self._engines = engines

    def can_read(self, answer_id: str) -> bool:
        """Whether the tokens of an answer are known and its model, a local one, is what answers now."""
        turn, expected = self._conversations.answer(answer_id), self._engines.expected()
        known = turn.last.provenance
        if expected is None or expected.spec is None or not _tokens(turn):
            return False
        if known.model_sha256 and expected.sha256:
            return known.model_sha256 == expected.sha256
        return known.model == expected.model

    def read(self, answer_id: str) -> list[TokenProb]:
        """Read an answer again, keep the probabilities of its tokens, and return them.

        Waits for its turn. Raises BadInput when it cannot be read again, what the engine raises, and
        TimeoutError after LONGEST_S; nothing is kept then.
        """
        if not self.can_read(answer_id):
            raise BadInput(reason=Reason("drafts.refused.unreadable"))
        turn = self._conversations.answer(answer_id)
        ids = _tokens(turn)
        plan = AnswerPlan(
            turn.conversation.id,
            turn.above.last.id,
            HELD.with_(max_new_tokens=len(ids)),
            turn.conversation.settings,
            "probabilities",
            n_probs=KEPT_CANDIDATES,
        ).read_as(turn.last.provenance)

        async def prepare(engine: Engine) -> PlannedPart:
            part = await self._parts.first(engine, plan)
            if not isinstance(engine, PromptEngine):
                raise BadInput(reason=Reason("drafts.refused.unreadable"))
            grammar = held_to(await whole_characters(engine, ids))
            request = replace(part.request, grammar=grammar, json_schema=None, n_probs=KEPT_CANDIDATES)
            return replace(part, request=request)

        spec = JobSpec(
            topic=f"probabilities:{answer_id}",
            engine=partial(self._engines.drafting, OFF),
            prepare=prepare,
            keep_probs=True,
        )
        outcome = self._jobs.outcome(spec, LONGEST_S)
        if outcome.view.error is not None:
            raise BadInput(reason=Reason("drafts.refused.unreadable"))
        probs = list(outcome.probs)
        if outcome.token_ids != ids or not probs or not _in_order([prob.token_id for prob in probs], ids):
            raise BadInput(reason=Reason("drafts.refused.unreadable"))
        self._store.put_probs(answer_id, probs)
        return self._store.get_probs(answer_id)


@dataclass(frozen=True, slots=True)
class Characters:
    """Tokens that are whole characters together, as few as it takes, and their text."""

    ids: tuple[int, ...]
    text: str


async def whole_characters(engine: PromptEngine, ids: Sequence[int]) -> list[Characters]:
    """Return the tokens, those together that are pieces of one character."""
    known: dict[tuple[int, ...], str] = {}
    result: list[Characters] = []
    pieces: tuple[int, ...] = ()
    for token in ids:
        pieces = (*pieces, token)
        if pieces not in known:
            known[pieces] = await engine.detokenize(pieces)
        if BROKEN not in known[pieces] or len(pieces) >= MOST_PIECES:
            result.append(Characters(pieces, known[pieces]))
            pieces = ()
    return [*result, Characters(pieces, known[pieces])] if pieces else result


def held_to(characters: Sequence[Characters]) -> str:
    """Return the grammar that lets nothing but these be written.

    A token is held by its id. Pieces of a character are held by the character, as llama.cpp fails at ids of
    pieces; that they are the same pieces is looked at afterwards.
    """
    held = (f"<[{part.ids[0]}]>" if len(part.ids) == 1 else json.dumps(part.text) for part in characters)
    return "root ::= " + " ".join(held)


def _in_order(some: Sequence[int], ids: Sequence[int]) -> bool:
    """Whether these are all among the ids, in their order: pieces of a character are told by its last one."""
    left = iter(ids)
    return all(token in left for token in some)


def _tokens(turn: Turn) -> tuple[int, ...]:
    """Return the answer's tokens; none while it is being written, or when some of them are not known."""
    answer = turn.last
    complete = answer.state not in ("queued", "streaming") and answer.provenance.token_ids_complete
    return answer.token_ids if complete else ()
