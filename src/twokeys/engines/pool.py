"""Several engines of one model as one: each parallel answer has a member to itself.

On a processor two workers of one thread write faster than one worker of two threads, whose threads wait
for each other at every layer. Servers behind several addresses become one in the same way; a conversation
stays with one of them, whose cache knows it. Starts and ends its members with itself; knows no queues.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from twokeys.engine import OwnedEngine, PromptEngine, ScoringEngine, Startable
from twokeys.errors import BadInput, EngineDied, EngineUnreachable, NotSupported, Reason
from twokeys.types import (
    Answering,
    ChatMessage,
    Delta,
    EngineEvent,
    EngineInfo,
    GenerationRequest,
    NextTokens,
    Phase,
    ReleaseReport,
)

T = TypeVar("T")


class PoolEngine:
    """Members of one model, in the order of their slots.

    Slot n of the pool is member n, then the second slots of all members, and so on. An answer without a
    slot goes to the least busy member; an answer that a member could not begin goes to another.
    """

    def __init__(self, members: Sequence[OwnedEngine]) -> None:
        if not members:
            raise BadInput(reason=Reason("errors.reason.empty_pool"))
        self.members = tuple(members)
        self._busy = [0] * len(self.members)
        self._slots: tuple[tuple[int, int], ...] = ()

    @property
    def running(self) -> bool:
        """Whether asking costs no start: every member runs."""
        return all(bool(getattr(member, "running", False)) for member in self.members)

    @property
    def phase(self) -> Phase | None:
        """What the slowest start under way is doing, None when none is."""
        phases = [member.phase for member in self.members if isinstance(member, Startable)]
        under_way = [phase for phase in phases if phase is not None]
        return min(under_way, key=lambda phase: phase.progress or 0.0, default=None)

    def expected(self) -> Answering | None:
        """Return what the members said of themselves, None before all of them were asked."""
        asked = [getattr(member, "expected", lambda: None)() for member in self.members]
        known = [answering for answering in asked if isinstance(answering, Answering)]
        if len(known) < len(self.members):
            return None
        slots, context = (
            sum(answering.slots for answering in known),
            min(answering.context for answering in known),
        )
        return replace(known[0], slots=slots, context=context, spec=None)

    def memory_bytes(self) -> int:
        """Return the memory of all members' processes."""
        measures = (getattr(member, "memory_bytes", None) for member in self.members)
        return sum(int(measure()) for measure in measures if callable(measure))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate. Until its first text an answer whose member is gone goes to another."""
        left = self._in_turn(request)
        while True:
            number = left.pop(0)
            self._busy[number] += 1
            text_came = False
            try:
                own = replace(request, slot=self._inner_slot(request.slot, number))
                async with aclosing(self.members[number].generate(own)) as events:
                    async for event in events:
                        text_came = text_came or isinstance(event, Delta)
                        yield event
                return
            except (EngineUnreachable, EngineDied):
                if text_came or not left:
                    raise
            finally:
                self._busy[number] -= 1

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        return await self._first_that_answers(lambda member: member.count_prompt(messages, prefix))

    async def tokenize(self, text: str) -> list[int]:
        return await self._first_that_answers(lambda member: member.tokenize(text))

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        return await self._first_that_answers(lambda member: _prompts(member).tool_prompt(messages, tools))

    async def text_prompt(self, text: str, suffix: str | None = None) -> list[int]:
        return await self._first_that_answers(lambda member: _prompts(member).text_prompt(text, suffix))

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await self._first_that_answers(lambda member: _prompts(member).detokenize(ids))

    async def next_tokens(
        self,
        messages: Sequence[ChatMessage],
        prefix: str = "",
        after: Sequence[int] = (),
        slot: int | None = None,
    ) -> NextTokens:
        number, inner = (0, None) if slot is None else (self._place(slot)[0], slot)
        member = self.members[number]
        if not isinstance(member, ScoringEngine):
            raise NotSupported(field="logprobs", reason=Reason("errors.reason.no_prompt_ids", kind="pool"))
        return await member.next_tokens(messages, prefix, after, self._inner_slot(inner, number))

    async def info(self) -> EngineInfo:
        """Start every member that is not running, and return what answers: the slots of all together.

        Raises BadInput when they do not run the same model: an answer would depend on who wrote it.
        """
        infos = await asyncio.gather(*(member.info() for member in self.members))
        together = _together(infos)
        most = max(info.slots for info in infos)
        rows = ([n for n, info in enumerate(infos) if inner < info.slots] for inner in range(most))
        self._slots = tuple((number, inner) for inner, row in enumerate(rows) for number in row)
        return together

    async def healthy(self) -> bool:
        return all(await asyncio.gather(*(member.healthy() for member in self.members)))

    async def release(self) -> ReleaseReport:
        """End all members' processes and return what came back."""
        reports = await asyncio.gather(*(member.release() for member in self.members))
        return ReleaseReport(
            sum(report.before_bytes for report in reports),
            sum(report.after_bytes for report in reports),
            sum(report.freed_bytes for report in reports),
        )

    async def close(self) -> None:
        await asyncio.gather(*(member.close() for member in self.members))

    async def _first_that_answers(self, ask: Callable[[OwnedEngine], Awaitable[T]]) -> T:
        for member in self.members[:-1]:
            with contextlib.suppress(EngineUnreachable, EngineDied):
                return await ask(member)
        return await ask(self.members[-1])

    def _in_turn(self, request: GenerationRequest) -> list[int]:
        """Return the members to ask, the first choice first."""
        numbers = range(len(self.members))
        if request.slot is not None:
            first = self._place(request.slot)[0]
        else:
            begun = request.prompt_ids[:64] or request.messages[0].content
            home = hash(begun) % len(self.members)  # a conversation's own cache
            first = min(numbers, key=lambda number: (self._busy[number], number != home))
        others = sorted((n for n in numbers if n != first), key=lambda number: self._busy[number])
        return [first, *others]

    def _place(self, slot: int) -> tuple[int, int]:
        if self._slots:
            return self._slots[slot % len(self._slots)]
        return slot % len(self.members), slot // len(self.members)

    def _inner_slot(self, slot: int | None, number: int) -> int | None:
        """Return the member's own slot; one that has a single slot needs no naming of it."""
        if slot is None or not self._slots:
            return None
        member, inner = self._place(slot)
        several = sum(1 for owner, _inner in self._slots if owner == number) > 1
        return inner if member == number and several else None


def _prompts(member: OwnedEngine) -> PromptEngine:
    if not isinstance(member, PromptEngine):
        raise NotSupported(field="prompt", reason=Reason("errors.reason.no_prompt_ids", kind="pool"))
    return member


def _together(infos: Sequence[EngineInfo]) -> EngineInfo:
    """Return what members are as one: all slots, and what every one of them can. Raises BadInput."""
    first = infos[0]
    for info in infos[1:]:
        known = info.model_sha256 is not None and first.model_sha256 is not None
        if info.model != first.model or (known and info.model_sha256 != first.model_sha256):
            raise BadInput(reason=Reason("errors.reason.mixed_pool", first=first.model, other=info.model))
    return replace(
        first,
        slots=sum(info.slots for info in infos),
        context=min(info.context for info in infos),
        supports_prefill=all(info.supports_prefill for info in infos),
    )
