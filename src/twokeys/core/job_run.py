"""The course of one job: prepare, write part after part, watch, store, say how it ended.

Runs on the loop. Which job runs when is the business of `jobs.py`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from twokeys.core.job import Job, Outcome, end_state
from twokeys.core.job_events import JobEvents
from twokeys.core.journal import JournalKeeper
from twokeys.core.loop import EngineLoop
from twokeys.core.ports import Watcher
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine, Startable
from twokeys.errors import Reason, TwoKeysError, unexpected
from twokeys.types import (
    Delta,
    EngineEvent,
    Finished,
    FinishReason,
    GuardEvent,
    Phase,
    PromptProgress,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS_INTERVAL_S = 0.1
Hook = Callable[[Outcome], None]


class Owner(Protocol):
    """Who says which job runs when."""

    def set_slots(self, slots: int, queue: str) -> None:
        """Hear how many jobs of a queue may run side by side."""
        ...

    def written(self, job: Job) -> None:
        """Hear that a job's place is free; its answer is being stored."""
        ...

    def ended(self, job: Job) -> Sequence[Hook]:
        """Hear that a job has ended; return who else is to hear of it."""
        ...


class JobRuns:
    """Runs jobs, each in a task of its own."""

    def __init__(
        self,
        owner: Owner,
        loop: EngineLoop,
        events: JobEvents,
        keeper: JournalKeeper,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._events = events
        self._keeper = keeper
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, job: Job) -> None:
        """Write a job's answer and end it."""
        journal = self._loop.create_task(self._keeper.keep(job)) if job.message else None
        reason: FinishReason
        error: Mapping[str, Any] | None = None
        job.begun = True
        try:
            if job.stop_reason is not None:
                raise asyncio.CancelledError
            reason = await self._write(job)
        except asyncio.CancelledError:
            reason = job.stop_reason or "interrupted"
            job.close_part(reason, None, self._clock(), self._monotonic())
            if reason == "guard":
                job.cut_tail()
        except Exception as failure:
            if not isinstance(failure, TwoKeysError):
                log.exception("job %s failed", job.id)
            reason, error = "error", unexpected(failure)
            job.close_part(reason, None, self._clock(), self._monotonic())
        job.ending = True
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            task.uncancel()
        self._owner.written(job)
        if journal is not None:
            journal.cancel()
            await asyncio.wait([journal])
        await self.end(job, reason, error)

    async def end(self, job: Job, reason: FinishReason, error: Mapping[str, object] | None = None) -> None:
        """Store and tell the end of a job, then call its hooks. Runs once per job."""
        self._events.flush(job)
        report = self._last_words(job)
        job.finish_reason, job.error = reason, error
        job.answer(reason, error, report)
        if job.message is not None:
            try:
                await self._keeper.store_end(job)
            except Exception:
                # whatever happens to the store, a job has an end
                log.exception("the answer of job %s could not be stored", job.id)
        job.state, job.phase, job.progress = end_state(reason), None, None
        job.version += 1
        outcome = job.outcome(self._monotonic())
        job.ended.set()
        self._events.done(job, unsaved=job.id in self._keeper.unsaved)
        for hook in self._owner.ended(job):
            try:
                await asyncio.to_thread(hook, outcome)
            except Exception:
                log.exception("hook after job %s failed", job.id)
        if job.id not in self._keeper.unsaved:
            job.forget_bulk()

    async def tell_time(self, job: Job, now: float) -> None:
        """Tell a stall, and let the watcher notice it and whether it is the engine's.

        Called about twice a second once text has come.
        """
        if job.last_token_mono is not None and now - job.last_token_mono >= job.stall_limit_s:
            job.reported_stall = True
            self._events.changed(job)
        if job.watcher is None:
            return
        stop = self._watch(job, lambda watcher: watcher.on_tick(now))
        if job.watcher is not None and job.engine is not None and job.watcher.wants_probe(now):
            healthy = await job.engine.healthy()
            stop = self._watch(job, lambda watcher: watcher.report_health(healthy, self._monotonic())) or stop
        if stop:
            job.stop("guard")

    # ---- writing ----------------------------------------------------------------------------

    async def _write(self, job: Job) -> FinishReason:
        engine = await job.spec.engine()
        job.engine = engine
        part: PlannedPart | None = await self._prepare(job, engine)
        reason: FinishReason = "stop"
        while part is not None:
            self._owner.set_slots(part.info.slots, job.spec.queue)
            job.open_part(part, self._clock(), self._monotonic())
            self._events.changed(job)
            finished = await self._read_events(job, engine.generate(part.request))
            if finished is None:
                reason = "guard"
                job.close_part(reason, None, self._clock(), self._monotonic())
                job.cut_tail()
                break
            reason = finished.reason
            job.close_part(reason, finished, self._clock(), self._monotonic())
            part = None
            if reason == "length" and job.spec.more is not None:
                part = await job.spec.more(job.outcome(self._monotonic()), engine)
        return reason

    async def _prepare(self, job: Job, engine: Engine) -> PlannedPart:
        """Let the job prepare its request, showing how the engine's start goes meanwhile."""
        preparing = self._loop.create_task(_as_coroutine(job.spec.prepare(engine)))
        try:
            while not preparing.done():
                phase = engine.phase if isinstance(engine, Startable) else None
                if phase is not None and (phase.name, phase.progress) != (job.phase, job.progress):
                    job.phase, job.progress = phase.name, phase.progress
                    self._events.changed(job)
                await asyncio.wait({preparing}, timeout=PROGRESS_INTERVAL_S)
        finally:
            preparing.cancel()
        return preparing.result()

    async def _read_events(self, job: Job, stream: AsyncGenerator[EngineEvent, None]) -> Finished | None:
        """Follow the stream to its Finished; None when the guard ended it."""
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, Delta):
                    if self._take_delta(job, event):
                        return None
                elif isinstance(event, Finished):
                    return event
                elif isinstance(event, PromptProgress):
                    self._take_progress(job, event)
                elif isinstance(event, Phase):
                    job.phase, job.progress = event.name, event.progress
                    self._events.changed(job)
                if job.guard_stops:
                    return None
        raise TwoKeysError(reason=Reason("errors.reason.ended_early"))

    def _take_progress(self, job: Job, event: PromptProgress) -> None:
        job.take_prompt_progress(event)
        now = self._monotonic()
        if now - job.last_progress_mono >= PROGRESS_INTERVAL_S:
            job.last_progress_mono = now
            self._events.changed(job)

    def _take_delta(self, job: Job, delta: Delta) -> bool:
        """Add new text and tell it; return whether the watcher wants the answer to end."""
        now = self._monotonic()
        first = job.first_token_mono is None
        job.grow(delta, now)
        if first or job.reported_stall:
            job.reported_stall = False
            self._events.changed(job)
        job.dirty.set()
        self._events.delta_soon(job, now)
        if job.watcher is None:
            return False
        return self._watch(
            job,
            lambda watcher: watcher.on_token(delta.text, job.token_count, len(job.text), delta.probs, now),
        )

    # ---- the watcher ------------------------------------------------------------------------

    def _watch(self, job: Job, ask: Callable[[Watcher], list[GuardEvent]]) -> bool:
        """Ask the watcher; return whether it wants the answer to end."""
        if job.watcher is None:
            return False
        try:
            noticed = ask(job.watcher)
            decay = job.watcher.decay_beyond(job.decay["series"][-1][0] if job.decay else 0)
        except Exception:
            # a mistake in the watcher must not cost the answer
            log.exception("watcher of job %s failed and was taken off", job.id)
            job.watcher = None
            return False
        for event in noticed:
            job.guard.append(event)
            job.version += 1
            self._events.send(job, {"type": "guard", "event": event.to_dict()})
        if decay:
            job.decay = decay
            self._events.send(job, {"type": "decay", "decay": decay})
        return job.guard_stops

    def _last_words(self, job: Job) -> dict[str, object] | None:
        """Let the watcher read what was left open; return its summary for the provenance."""
        if job.watcher is None or not job.parts:
            return None
        watcher = job.watcher
        noticed_before = len(job.guard)
        try:
            for event in watcher.finish():
                job.guard.append(event)
                self._events.send(job, {"type": "guard", "event": event.to_dict()})
            report = dict(watcher.report())
        except Exception:
            log.exception("watcher of job %s failed at its end", job.id)
            return None
        last = job.parts[-1]
        job.parts[-1] = replace(last, guard=(*last.guard, *job.guard[noticed_before:]))
        return report


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
