"""One prefill of the question for all columns (design, section 5).

Where an engine has a slot for each column, the question is processed in one slot, the slot's state is
saved, restored into the others, and the file deleted; then all columns write at the same time, each
in its own slot. Columns with another system prompt have another prompt: each is processed once.
Without such an engine the columns go through the usual one, whose cache keeps the question.
Used on the job manager's loop only.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from twokeys.core.compare.column_engines import ColumnEngines
from twokeys.core.compare.comparison import Sharing
from twokeys.core.ports import EngineSource
from twokeys.engine import Engine, SlotEngine, Startable
from twokeys.errors import EngineDied, EngineError, EngineRefused, Reason
from twokeys.ids import new_id
from twokeys.token_estimate import estimate_prompt
from twokeys.types import (
    ChatMessage,
    EngineEvent,
    EngineInfo,
    Finished,
    GenerationRequest,
    Phase,
    PromptProgress,
    Sampling,
)

log = logging.getLogger(__name__)

CONTEXT_STEP = 256
ESTIMATE_MARGIN = 1.15
"""An estimated prompt gets this much more room; the exact count decides in the end."""

WAIT_STEP_S = 0.05
ONE_TOKEN = Sampling(temperature=0.0, max_new_tokens=1, top_p=1.0, top_k=1, repetition_penalty=1.0)


def column_context(prompt_tokens: int, longest: int) -> int:
    """Return the context a column needs: prompt and longest answer, in steps of 256 tokens."""
    return -(-(prompt_tokens + longest) // CONTEXT_STEP) * CONTEXT_STEP


@dataclass(slots=True)
class _Prompt:
    """One prompt that is or was processed. slots: of the columns that have it."""

    slots: list[int]
    task: "asyncio.Task[None] | None" = None
    progress: PromptProgress | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class SharingReport:
    """What is known once the columns have their engine.

    prefill_tokens: prompt tokens that were processed for several columns at once.
    """

    sharing: Sharing
    prefill_tokens: int = 0


class SharedPrefill:
    """The engine of one comparison's columns, and the prefill of their question."""

    def __init__(
        self,
        column_engines: ColumnEngines,
        engines: EngineSource,
        prompts: Sequence[tuple[ChatMessage, ...]],
        *,
        longest: int,
        on_report: Callable[[SharingReport], None],
    ) -> None:
        """prompts: what each column reads. longest: the longest answer of any column, in tokens.
        on_report: called on the loop when something is new.
        """
        self._column_engines = column_engines
        self._engines = engines
        self._columns = len(prompts)
        self._longest = longest
        self._on_report = on_report
        self._choosing: asyncio.Task[Engine] | None = None
        self._starting: Engine | None = None
        self.slot_engine: SlotEngine | None = None
        """The chosen engine where its slots are copied; None before, and where they are not."""
        self._report: SharingReport | None = None
        self._prompts: dict[tuple[ChatMessage, ...], _Prompt] = {}
        for slot, messages in enumerate(prompts):
            self._prompts.setdefault(messages, _Prompt([])).slots.append(slot)

    @property
    def sharing(self) -> Sharing | None:
        """How the question is shared; None before the engine was chosen."""
        return self._report.sharing if self._report else None

    @property
    def phase(self) -> Phase | None:
        """What the start of the columns' engine is doing; None when none is under way."""
        return self._starting.phase if isinstance(self._starting, Startable) else None

    async def engine(self) -> Engine:
        """Return the engine of all columns, started; chosen once, when the first column's turn comes."""
        if self._choosing is None:
            self._choosing = asyncio.get_running_loop().create_task(self._choose())
        # a column that is stopped must not take the engine away from the others
        return await asyncio.shield(self._choosing)

    async def _choose(self) -> Engine:
        context = column_context(await self._count(None), self._longest)
        parallel = await self._column_engines.parallel(self._columns, context)
        if parallel is not None:
            info = await self._start(parallel)
            exact = await self._count(parallel)
            if exact + self._longest > info.context:
                parallel = await self._column_engines.parallel(
                    self._columns, column_context(exact, self._longest)
                )
        if parallel is not None:
            await self._start(parallel)
            self.slot_engine = parallel
            self._tell_sharing(SharingReport("cloned"))
            return parallel
        usual = await self._engines.drafting("off")
        info = await self._start(usual)
        self._tell_sharing(SharingReport("cached" if info.local else "none"))
        return usual

    async def _start(self, engine: Engine) -> EngineInfo:
        self._starting = engine
        try:
            return await engine.info()
        finally:
            self._starting = None

    async def _count(self, engine: Engine | None) -> int:
        """Count the longest prompt: by `engine`, by what runs now, or by estimate with a margin."""
        running = self._engines.current() if self._engines.running() else None
        engine = engine or running
        if engine is not None:
            try:
                return max([await engine.count_prompt(messages) for messages in self._prompts])
            except EngineError as error:
                log.info("prompt was estimated, the engine did not count it: %s", error)
        return int(max(estimate_prompt(messages) for messages in self._prompts) * ESTIMATE_MARGIN)

    def _tell_sharing(self, report: SharingReport) -> None:
        self._report = report
        self._on_report(report)

    # ---- one prompt -----------------------------------------------------------------------------

    async def run(self, engine: SlotEngine, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """Yield how the prefill goes, until the column's slot holds the question."""
        prompt = self._prompts.get(request.messages)
        if prompt is None:
            return
        if prompt.task is None:
            prompt.task = asyncio.get_running_loop().create_task(self._run(engine, request, prompt))
        shown: PromptProgress | None = None
        prompt.waiting += 1
        try:
            while not prompt.task.done():
                await asyncio.wait({prompt.task}, timeout=WAIT_STEP_S)
                if prompt.progress is not None and prompt.progress != shown:
                    shown = prompt.progress
                    yield shown
            await asyncio.shield(prompt.task)
        finally:
            prompt.waiting -= 1
            if not prompt.waiting and not prompt.task.done():
                prompt.task.cancel()
                prompt.task = None

    async def _run(self, engine: SlotEngine, request: GenerationRequest, prompt: _Prompt) -> None:
        first, *others = prompt.slots
        prefill = replace(request, sampling=ONE_TOKEN, n_probs=0, slot=first)
        finished: Finished | None = None
        async with aclosing(engine.generate(prefill)) as events:
            async for event in events:
                if isinstance(event, PromptProgress):
                    prompt.progress = event
                elif isinstance(event, Finished):
                    finished = event
        if finished is None or finished.reason == "cancelled":
            raise EngineDied(reason=Reason("errors.reason.released"), log="")
        if self._report is not None:
            processed = finished.usage.prompt_tokens - finished.usage.cached_tokens
            self._tell_sharing(replace(self._report, prefill_tokens=self._report.prefill_tokens + processed))
        if others:
            await self._copy(engine, first, others)

    async def _copy(self, engine: SlotEngine, first: int, others: Sequence[int]) -> None:
        name = f"compare-{new_id()}"
        try:
            await engine.save_slot(first, name)
            for slot in others:
                await engine.restore_slot(slot, name)
        except EngineRefused as error:
            # the columns then read the question themselves: slower, and nothing else is lost
            log.warning("a slot's state was not copied: %s", error)
            self._tell_sharing(SharingReport("none", self._report.prefill_tokens if self._report else 0))
        finally:
            engine.forget_saved(name)


class ColumnEngine:
    """The engine as one column sees it: the prefill is shared, the answer is written in its own slot."""

    def __init__(self, prefill: SharedPrefill, slot: int) -> None:
        self._prefill = prefill
        self._slot = slot

    @property
    def phase(self) -> Phase | None:
        return self._prefill.phase

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate. The wait for the shared prefill counts as time to the first token."""
        started = time.monotonic()
        engine = await self._prefill.engine()
        if self._prefill.slot_engine is not None:
            async with aclosing(self._prefill.run(self._prefill.slot_engine, request)) as progress:
                async for event in progress:
                    yield event
            request = replace(request, slot=self._slot)
        waited = time.monotonic() - started
        async with aclosing(engine.generate(request)) as writing:
            async for event in writing:
                yield _with_wait(event, waited) if isinstance(event, Finished) else event

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        return await (await self._prefill.engine()).count_prompt(messages, prefix)

    async def tokenize(self, text: str) -> list[int]:
        return await (await self._prefill.engine()).tokenize(text)

    async def info(self) -> EngineInfo:
        return await (await self._prefill.engine()).info()

    async def healthy(self) -> bool:
        return await (await self._prefill.engine()).healthy()


class SlotKeeper:
    """A standing engine as one column sees it later: going on uses the column's own slot."""

    def __init__(self, engine: SlotEngine, slot: int) -> None:
        self._engine = engine
        self._slot = slot

    @property
    def phase(self) -> Phase | None:
        return self._engine.phase if isinstance(self._engine, Startable) else None

    def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        return self._engine.generate(replace(request, slot=self._slot))

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        return await self._engine.count_prompt(messages, prefix)

    async def tokenize(self, text: str) -> list[int]:
        return await self._engine.tokenize(text)

    async def info(self) -> EngineInfo:
        return await self._engine.info()

    async def healthy(self) -> bool:
        return await self._engine.healthy()


def _with_wait(finished: Finished, waited_s: float) -> Finished:
    timings = finished.timings
    return replace(
        finished,
        timings=replace(
            timings,
            ttft_s=None if timings.ttft_s is None else timings.ttft_s + waited_s,
            total_s=None if timings.total_s is None else timings.total_s + waited_s,
        ),
    )
