"""What could have stood at one place of an answer: the likeliest tokens there, asked of the engine."""

from dataclasses import replace

from twokeys.core.answer_plan import AnswerParts, AnswerPlan, Target
from twokeys.core.context_check import Begun
from twokeys.core.conversations import Conversations
from twokeys.core.fork import text_before
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.ports import EngineSource
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine
from twokeys.errors import BadInput, EngineError, Reason
from twokeys.types import Sampling, TokenProb

DISTRIBUTION_TIMEOUT_S = 120.0
ASKING = Sampling(temperature=0.0, max_new_tokens=4, repetition_penalty=1.0)
"""Four tokens: the first may be only a piece of a character, which comes with the piece that ends it."""

NO_END = "root ::= [^\\x00] root"
"""A grammar that forbids the end token and nothing else: after an end no probabilities are reported."""


class NextToken:
    """Asks for distributions, each in a job of its own."""

    def __init__(
        self, conversations: Conversations, parts: AnswerParts, jobs: JobManager, engines: EngineSource
    ) -> None:
        self._conversations = conversations
        self._parts = parts
        self._jobs = jobs
        self._engines = engines

    def distribution(
        self, answer_id: str, token_index: int, candidates: int = 100, *, target: Target | None = None
    ) -> TokenProb:
        """Ask the engine for the likeliest candidates at one place of an answer, before sampling.

        Waits for its turn, then processes the answer up to that token (from the cache where it is
        still there). Exact for the model that answers now. token_index: as in `Answers.fork`; also for
        answers that have no stored probabilities when their token ids are known. Raises BadInput, or
        what the engine raises; TimeoutError after DISTRIBUTION_TIMEOUT_S.
        """
        turn = self._conversations.answer(answer_id)
        before = text_before(turn.last, self._conversations.probs(answer_id), token_index)
        plan = AnswerPlan(
            turn.conversation.id,
            turn.above.last.id,
            ASKING,
            turn.conversation.settings,
            "distribution",
            begun=Begun(before.text, before.token_ids),
            n_probs=candidates,
        ).read_as(turn.last.provenance)

        async def prepare(engine: Engine) -> PlannedPart:
            part = await self._parts.first(engine, plan)
            part = replace(part, request=replace(part.request, json_schema=None))  # before all sampling
            if part.info.kind != "llama.cpp":
                return part
            return replace(part, request=replace(part.request, grammar=NO_END))

        spec = JobSpec(
            topic=f"distribution:{answer_id}",
            engine=target.engine if target else self._engines.ready,
            engine_config=target.engine_config if target else "",
            prepare=prepare,
            keep_probs=True,
        )
        return _only_prob(self._jobs.outcome(spec, DISTRIBUTION_TIMEOUT_S))


def _only_prob(outcome: Outcome) -> TokenProb:
    if outcome.view.error is not None:
        raise EngineError(reason=str(outcome.view.error.get("code")))
    if not outcome.probs:
        raise BadInput(reason=Reason("comparison.error.no_probs"))
    return outcome.probs[0]
