"""How one answer is to be made: its plan, what it goes on from, and the requests made of it.

A plan holds what cannot be looked up later. `AnswerParts` makes the request of each part when the
job's turn has come, from what the conversation says then. Stores nothing and starts nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from twokeys.core.attachments import DOCUMENTS, documents_read
from twokeys.core.context import SHORTEST_ANSWER, ModelPrompt, build_prompt
from twokeys.core.context_check import NOTHING_YET, Begun, check_prefill, check_schema
from twokeys.core.conversations import Conversations, Turn
from twokeys.core.drafting import DraftChoice
from twokeys.core.guard import wanted_candidates
from twokeys.core.jobs import Outcome
from twokeys.core.provenance import PlannedPart, part_stub
from twokeys.core.structured.instruction import told_system_prompt
from twokeys.core.structured.schema import schema_of
from twokeys.engine import Engine
from twokeys.errors import ContextExceeded
from twokeys.types import (
    Answering,
    EngineInfo,
    GenerationRequest,
    Message,
    PartRecord,
    Provenance,
    Sampling,
    Settings,
)

KEPT_CANDIDATES = 5
"""For every token, where a conversation says that they are to be kept, and where keeping them is free."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an answer is written, when not by the chat's engine as it runs.

    engine: gives the engine when the job's turn has come. engine_config: see JobSpec.
    """

    engine: Callable[[], Awaitable[Engine]]
    engine_config: str


@dataclass(frozen=True, slots=True)
class History:
    """What an answer was read with, by its provenance: messages left out, the first one read, a summary."""

    excluded: tuple[str, ...] = ()
    first: str | None = None
    summary: str = ""

    @classmethod
    def of(cls, known: Provenance) -> Self:
        return cls(known.excluded or (), known.history_from, known.summary or "")


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """How one answer is to be made.

    history: as recorded; None reads what the conversation says when the job's turn has come.
    begun: the text it goes on from. begun_by: name and checksum of the model that wrote it. n_probs:
    candidates to keep for every token; None keeps the usual number where the engine, once asked, tells them
    at no cost. draft: what it asks to be drafted with, None leaves the engine as it is.
    """

    conversation_id: str
    question_id: str
    sampling: Sampling
    settings: Settings
    kind: str
    history: History | None = None
    begun: Begun = NOTHING_YET
    begun_by: tuple[str | None, str | None] = (None, None)
    n_probs: int | None = 0
    facts: Mapping[str, Any] | None = None
    target: Target | None = None
    draft: DraftChoice | None = None

    @property
    def goes_on(self) -> bool:
        """Whether text that is there grows: it may then grow as far as the context reaches."""
        return self.kind in ("continue", "fork")

    def candidates(self, info: EngineInfo) -> int:
        """Return how many candidates to keep for every token, now that the engine has said what it is."""
        if info.draft is not None:
            return 0  # accepted drafts come without, and half a heat map is none
        if self.n_probs is not None:
            return self.n_probs
        return KEPT_CANDIDATES if Answering.by_engine(info).tells_probs else 0

    def within(self, room: int) -> Self:
        """Return the plan with an answer of at most `room` tokens, itself when that is too few."""
        longest = self.sampling.max_new_tokens
        if not self.goes_on or not min(SHORTEST_ANSWER, longest) <= room < longest:
            return self
        return replace(self, sampling=self.sampling.with_(max_new_tokens=room))

    def read_as(self, known: Provenance) -> Self:
        """Read what an answer read when it began, as far as its provenance tells.

        Its system prompt, its history, its form, and whose tokens the begun text is made of.
        """
        system_prompt = self.settings.system_prompt if known.system_prompt is None else known.system_prompt
        return replace(
            self,
            settings=replace(self.settings, system_prompt=system_prompt, answer_schema=schema_of(known)),
            history=None if known.excluded is None else History.of(known),
            begun_by=(known.model, known.model_sha256),
        )

    def prompt(self, turn: Turn) -> ModelPrompt:
        """Return what the model reads of a turn that ends with the question."""
        system_prompt = told_system_prompt(self.settings)
        if self.history is not None:
            return build_prompt(
                turn.path,
                system_prompt,
                excluded=self.history.excluded,
                history_from=self.history.first,
                summary=self.history.summary,
            )
        return build_prompt(turn.path, system_prompt, resets=turn.conversation.resets)


class AnswerParts:
    """Makes the requests of planned answers, each when its turn has come. Only on the jobs' loop."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def first(self, engine: Engine, plan: AnswerPlan, turn: Turn | None = None) -> PlannedPart:
        """Return the first part. turn: where nothing was written since it was read.

        Raises ContextExceeded when prompt and answer do not fit, by the engine's own count, and
        CannotContinue when there is a begun text that the engine cannot go on from.
        """
        info = await engine.info()
        if plan.begun.text:
            check_prefill(info)
        if plan.settings.answer_schema is not None:
            check_schema(info, plan.begun)
        turn = turn or await self._turn(plan)
        prompt = plan.prompt(turn)
        begun = plan.begun
        if not _same_model(plan.begun_by, info):
            begun = replace(begun, token_ids=())
        tokens = len(begun.token_ids)
        tokens += await engine.count_prompt(prompt.messages, "" if begun.token_ids else begun.text)
        if info.context > 0:
            plan = plan.within(info.context - tokens)
        if 0 < info.context < tokens + plan.sampling.max_new_tokens:
            raise ContextExceeded(
                prompt_tokens=tokens, max_new_tokens=plan.sampling.max_new_tokens, context=info.context
            )
        return _part(_with_documents(plan, turn, prompt), prompt, info, tokens, begun)

    async def next(self, engine: Engine, plan: AnswerPlan, outcome: Outcome) -> PlannedPart | None:
        """Return the next part of an answer cut by its length; None when that is not possible.

        Either the context has no room, or the engine cannot go on from a begun answer.
        """
        info = await engine.info()
        held = plan.settings.answer_schema is None or info.continues_schema
        if not info.supports_prefill or not held:
            return None
        turn = await self._turn(plan)
        prompt = plan.prompt(turn)
        begun = Begun(outcome.text, outcome.token_ids)
        tokens = len(begun.token_ids)
        tokens += await engine.count_prompt(prompt.messages, "" if begun.token_ids else begun.text)
        longest = plan.sampling.max_new_tokens
        room = info.context - tokens if info.context > 0 else longest
        if room < SHORTEST_ANSWER:
            return None
        plan = replace(plan, sampling=plan.sampling.with_(max_new_tokens=min(longest, room)))
        return _part(_with_documents(plan, turn, prompt), prompt, info, tokens, begun)

    async def _turn(self, plan: AnswerPlan) -> Turn:
        return await asyncio.to_thread(self._conversations.turn, plan.question_id)


def with_all_parts(answer: Message) -> Message:
    """Add the record of a part that a killed app could not write."""
    parts = answer.provenance.parts
    written = parts[-1].to_char or 0 if parts else 0
    if len(answer.content) <= written:
        return answer
    tokens = len(answer.token_ids) - sum(part.completion_tokens or 0 for part in parts)
    stub = part_stub(answer, written, max(0, tokens))
    return replace(answer, provenance=replace(answer.provenance, parts=(*parts, stub)))


def beginning(answer: Message) -> Begun:
    """Return what an answer was given before its first part: a fork's beginning, else nothing."""
    first = answer.provenance.parts[0]
    return Begun(answer.content[: first.from_char], answer.token_ids[: first.from_token])


def replayed(answer: Message) -> list[Sampling]:
    """Return the parameters of each recorded part, its seed as it was used."""
    parts = answer.provenance.parts
    return [_replayed(part, last=part is parts[-1]) for part in parts]


def kept_facts(known: Provenance) -> dict[str, object]:
    """Return what stays true of a version that is made from another one."""
    return {name: known.facts[name] for name in ("column", "forked_from") if name in known.facts}


def _with_documents(plan: AnswerPlan, turn: Turn, prompt: ModelPrompt) -> AnswerPlan:
    """Return the plan with the documents among its facts that the model reads, where there are any."""
    documents = documents_read(turn.path, prompt.used)
    return replace(plan, facts={**(plan.facts or {}), DOCUMENTS: documents}) if documents else plan


def _replayed(part: PartRecord, *, last: bool) -> Sampling:
    sampling = Sampling.from_dict(part.sampling_set)
    if part.seed is not None:
        sampling = sampling.with_(seed=int(part.seed))
    if not last and part.completion_tokens:
        sampling = sampling.with_(max_new_tokens=part.completion_tokens)
    return sampling


def _same_model(model: tuple[str | None, str | None], info: EngineInfo) -> bool:
    """Token ids mean the same only to the same model."""
    name, sha256 = model
    if sha256 and info.model_sha256:
        return sha256 == info.model_sha256
    return name is not None and name == info.model


def _candidates_for_guard(plan: AnswerPlan, info: EngineInfo) -> int:
    """Servers of others may refuse or bill probabilities: they are asked only by a person's choice."""
    if info.draft is not None or ("uncertainty" not in plan.settings.guard and not info.local):
        return 0
    return wanted_candidates(plan.settings.guard, plan.sampling.temperature)


def _part(plan: AnswerPlan, prompt: ModelPrompt, info: EngineInfo, tokens: int, begun: Begun) -> PlannedPart:
    candidates = plan.candidates(info)
    schema = plan.settings.answer_schema
    drafted = plan.draft.facts(info.draft) if plan.draft is not None else {}
    return PlannedPart(
        request=GenerationRequest(
            messages=prompt.messages,
            sampling=plan.sampling,
            prefix=begun.text,
            prefix_ids=begun.token_ids,
            n_probs=max(candidates, _candidates_for_guard(plan, info)),
            json_schema=None if schema is None else schema.value,
        ),
        info=info,
        prompt_tokens=tokens,
        prompt_exact=True,
        keep_probs=candidates > 0,
        facts={
            "kind": plan.kind,
            "system_prompt": plan.settings.system_prompt,
            "preset": plan.settings.preset,
            "excluded": list(prompt.excluded),
            "history_from": prompt.history_from,
            **({"summary": prompt.summary} if prompt.summary else {}),
            "n_probs": candidates,
            "answer_schema": schema and schema.to_dict(),
            **({"draft": dict(drafted)} if drafted else {}),
            **(plan.facts or {}),
        },
    )
