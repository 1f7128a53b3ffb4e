"""The job manager: a generation is a job, not a script run (decision D2).

One asyncio loop in a daemon thread owns all generations. The public methods are synchronous and may
be called from any thread. A job waits in the queue of its lane until one of the lane's slots is
free, journals its text several times a second, tells subscribers what happens, and stops at once
when asked. It knows nothing of prompts, conversations' trees or parameters: `JobSpec.prepare`
brings the request.

Subscribers of a topic get dicts, JSON-ready, in order, from the loop's thread:

    snapshot  {jobs: [view with text]}                      at the start
    job       {job: view without text}                      state, phase, progress, stall
    delta     {job, message, at, text, n, probs?}           new text from character `at`; ≤ 25/s a job
    guard     {job, message, event}
    notice    {job, message, error: {code, params} | None}  the text cannot be stored now / is stored again
    done      {job, message, state, finish_reason, usage, timings, error, chars, unsaved}
    changed   {}                                            messages changed: read again
    meter     {memory_bytes, pid, …}                        topic "engine", every 2 s while listened to
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar, cast

from twokeys.core.ports import Engine, Journal, Startable, Watcher
from twokeys.core.provenance import Part, guard_dict, merge_parts, part_record
from twokeys.errors import StoreError, TwoKeysError
from twokeys.ids import new_id
from twokeys.types import (
    Delta,
    EngineEvent,
    Finished,
    FinishReason,
    GuardEvent,
    Message,
    MessageState,
    Phase,
    PhaseName,
    PromptProgress,
    Timings,
    TokenProb,
    Usage,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Event = dict[str, Any]
Callback = Callable[[Event], None]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

ENGINE_TOPIC = "engine"
ENGINE_LANE = "engine"
JOURNAL_INTERVAL_S = 0.2
JOURNAL_RETRY_S = 2.0
DELTA_INTERVAL_S = 0.04
PROGRESS_INTERVAL_S = 0.1
TICK_S = 0.5
STALL_S = 2.0
METER_INTERVAL_S = 2.0
KEPT_JOBS = 200


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it is at one moment. Times of day in Unix seconds, durations in seconds.

    text: the whole answer so far, with what was there before a continuation. token_count: tokens
    of the whole answer. stalled_s: how long no token has come, 0 while the gap is under 2 s.
    unsaved: the store could not take the latest text yet. version grows with every change.
    """

    id: str
    topic: str
    message_id: str | None
    state: JobState
    phase: PhaseName | None
    progress: float | None
    text: str
    token_count: int
    prompt_tokens: int | None
    cached_tokens: int | None
    queued_at: float
    started_at: float | None
    ttft_s: float | None
    tok_per_s: float | None
    stalled_s: float
    finish_reason: FinishReason | None
    error: Mapping[str, Any] | None
    guard: tuple[GuardEvent, ...]
    unsaved: bool
    version: int

    @property
    def active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in ("queued", "running")

    def to_dict(self, *, text: bool = True) -> dict[str, Any]:
        """Return JSON-ready values; without the text for frequent events."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["error"] = dict(self.error) if self.error else None
        values["guard"] = [guard_dict(event) for event in self.guard]
        if not text:
            values["chars"] = len(values.pop("text"))
        return values


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `message` is the answer as stored, None for jobs without one."""

    view: JobView
    message: Message | None
    parts: tuple[Mapping[str, Any], ...]
    text: str
    token_ids: tuple[int, ...]
    probs: tuple[TokenProb, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a job is to do.

    topic: who hears of it (a conversation's or comparison's id).
    engine: gives the engine when the job's turn has come.
    prepare: makes the request then, so that it sees what was finished in the meantime.
    message: the stored answer that grows; its content and token ids are what is there already.
    begun: the caller has stored the answer's beginning (`Journal.begin`) itself.
    more: asked after every part that was cut by its length; returns the next part or None.
    after: id of a job that has to end first. background: gives way to any other job of its lane.
    watcher: reads along; a stop-level event ends the answer. keep_probs: store probabilities.
    on_done: called once, in a worker thread, after the answer is stored and "done" was told.
    """

    topic: str
    engine: Callable[[], Awaitable[Engine]]
    prepare: Callable[[Engine], Awaitable[Part]]
    message: Message | None = None
    begun: bool = False
    more: Callable[["Outcome", Engine], Awaitable[Part | None]] | None = None
    after: str | None = None
    lane: str = ENGINE_LANE
    background: bool = False
    watcher: Watcher | None = None
    keep_probs: bool = False
    on_done: Callable[[Outcome], None] | None = None


@dataclass(slots=True, eq=False)
class _Job:
    id: str
    spec: JobSpec
    queued_at: float
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    token_count: int = 0
    probs: list[TokenProb] = field(default_factory=list)
    parts: list[Mapping[str, Any]] = field(default_factory=list)
    state: JobState = "queued"
    phase: PhaseName | None = "queued"
    progress: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    started_at: float | None = None
    ttft_s: float | None = None
    tok_per_s: float | None = None
    finish_reason: FinishReason | None = None
    error: Mapping[str, Any] | None = None
    guard: list[GuardEvent] = field(default_factory=list)
    version: int = 0
    task: asyncio.Task[None] | None = None
    watcher: Watcher | None = None
    engine: Engine | None = None
    stop_reason: FinishReason | None = None
    begun: bool = False
    ending: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    # the part being written
    part: Part | None = None
    part_started_at: float = 0.0
    part_started_mono: float = 0.0
    part_from_char: int = 0
    part_from_token: int = 0
    part_guard_from: int = 0
    first_token_mono: float | None = None
    last_token_mono: float | None = None
    last_progress_mono: float = 0.0
    # journal and event bookkeeping
    journalled_chars: int = 0
    journalled_ids: int = 0
    journal_error: TwoKeysError | None = None
    emitted_chars: int = 0
    emitted_probs: int = 0
    last_delta_mono: float = 0.0
    delta_timer: asyncio.TimerHandle | None = None
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    message: Message | None = None
    told_stall: bool = False


@dataclass(slots=True)
class _Lane:
    slots: int = 1
    waiting: list[_Job] = field(default_factory=list)
    running: set[_Job] = field(default_factory=set)
    held: int = 0


class JobManager:
    """Owns all running generations of the process. See the module for what subscribers hear."""

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        meter: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._monotonic = monotonic
        self.meter = meter
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._unsaved: dict[str, _Job] = {}
        self._lanes: dict[str, _Lane] = {}
        self._subscribers: dict[str, list[Callback]] = {}
        self._hooks: list[Callable[[Outcome], None]] = []
        self._closing = False
        self._closed = False
        self._tick_task: asyncio.Task[None] | None = None
        self._meter_task: asyncio.Task[None] | None = None
        self._retry_task: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="twokeys-journal")
        self._workers = ThreadPoolExecutor(8, thread_name_prefix="twokeys-work")
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(self._workers)
        self._thread = threading.Thread(target=self._serve, name="twokeys-jobs", daemon=True)
        self._thread.start()

    # ---- called from any thread -------------------------------------------------------------

    def start(self, spec: JobSpec) -> JobView:
        """Store the answer's beginning, queue the job and return it as it is now.

        Raises StoreError when the beginning cannot be stored; then nothing was queued.
        """
        if self._closing:
            raise TwoKeysError(reason="closing")
        job = _Job(id=new_id(), spec=spec, queued_at=self._clock(), watcher=spec.watcher)
        if spec.message is not None:
            message = replace(spec.message, state="queued", finish_reason=None, error=None)
            if not spec.begun:
                self._journal.begin(message)
            job.message = message
            job.text = message.content
            job.token_ids = list(message.token_ids)
            job.token_count = len(message.token_ids)
            job.parts = list(message.provenance.get("parts", ()))
            if not job.token_ids and job.parts:
                job.token_count = sum(part["completion_tokens"] for part in job.parts)
            job.journalled_chars = job.emitted_chars = len(job.text)
            job.journalled_ids = len(job.token_ids)
            if spec.keep_probs and job.text:
                job.probs = list(self._journal.get_probs(message.id))
                job.emitted_probs = len(job.probs)
        self._jobs[job.id] = job
        self._call(self._enqueue, job)
        return self._view(job)

    def stop(self, job_id: str, *, reason: FinishReason = "cancelled") -> None:
        """End a job; its slot is free at once and the text so far is kept. Unknown ids do nothing."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._call(self._stop, job, reason)

    def stop_all(self, topic: str | None = None, *, wait_s: float = 5.0) -> list[str]:
        """Stop every queued and running job (of a topic), wait for their ends, return their ids."""
        jobs = [job for job in list(self._jobs.values()) if _active(job)]
        jobs = [job for job in jobs if topic is None or job.spec.topic == topic]
        for job in reversed(jobs):
            self._call(self._stop, job, "cancelled")
        deadline = time.monotonic() + wait_s
        for job in jobs:
            job.ended.wait(max(0.0, deadline - time.monotonic()))
        return [job.id for job in jobs]

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """Return the job once it has ended (or the time is over). KeyError for an unknown id."""
        job = self._jobs[job_id]
        job.ended.wait(timeout_s)
        return self._view(job)

    def view(self, job_id: str) -> JobView | None:
        """Return a job by its id; ended ones are remembered for a while."""
        job = self._jobs.get(job_id)
        return self._view(job) if job else None

    def views(self, topic: str | None = None) -> list[JobView]:
        """Return the jobs of a topic (or all) that are queued, running or not yet stored."""
        return [
            self._view(job)
            for job in list(self._jobs.values())
            if (topic is None or job.spec.topic == topic) and (_active(job) or job.id in self._unsaved)
        ]

    def of_message(self, message_id: str) -> JobView | None:
        """Return the newest job that writes or wrote this answer."""
        for job in reversed(list(self._jobs.values())):
            if job.message is not None and job.message.id == message_id:
                return self._view(job)
        return None

    def overlay(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with the text that is known here but not stored yet."""
        newest = {
            job.message.id: job
            for job in list(self._jobs.values())
            if job.message is not None and (_active(job) or job.id in self._unsaved)
        }
        return [self._overlaid(message, newest.get(message.id)) for message in messages]

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Send a snapshot and then every event of the topic to `callback`, on the loop's thread.

        The callback must return quickly; one that raises is dropped. Returns the unsubscriber.
        """
        self._call(self._add_subscriber, topic, callback)

        def unsubscribe() -> None:
            self._call(self._remove_subscriber, topic, callback)

        return unsubscribe

    def publish(self, topic: str, event: Event) -> None:
        """Send an event of one's own, such as {"type": "changed"}, to a topic."""
        self._call(self._emit, topic, event)

    def on_done(self, hook: Callable[[Outcome], None]) -> None:
        """Call `hook` in a worker thread after every job that ended."""
        self._hooks.append(hook)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the loop and return its future at once."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine (an engine's) on the loop and return its result.

        Raises what it raises, TimeoutError when it takes longer, and RuntimeError when called
        from the loop's own thread, where it could never end.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("JobManager.run was called from its own loop")
        future = self.submit(coroutine)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def set_slots(self, slots: int, lane: str = ENGINE_LANE) -> None:
        """Say how many jobs of a lane may run side by side."""
        self._call(self._set_slots, lane, slots)

    async def idle(self) -> None:
        """Return when nothing is queued or running. Only on the loop."""
        await self._idle.wait()

    async def hold(self, lane: str = ENGINE_LANE) -> None:
        """Start no more jobs of a lane until `unhold`. Only on the loop (within `run`)."""
        self._lane(lane).held += 1

    async def unhold(self, lane: str = ENGINE_LANE) -> None:
        """Let a held lane go on."""
        held = self._lane(lane)
        held.held = max(0, held.held - 1)
        self._pump(held)

    def interrupt_all(self, wait_s: float = 5.0) -> None:
        """Take no more jobs and end all there are as interrupted, their text stored."""
        self._closing = True
        jobs = [job for job in list(self._jobs.values()) if _active(job)]
        for job in reversed(jobs):
            self._call(self._stop, job, "interrupted")
        deadline = time.monotonic() + wait_s
        for job in jobs:
            job.ended.wait(max(0.0, deadline - time.monotonic()))

    def close(self, wait_s: float = 5.0) -> None:
        """End every job as interrupted, store its text, and stop the thread."""
        if self._closed:
            return
        self._closed = True
        self.interrupt_all(wait_s)
        self._call(self._loop.stop)
        self._thread.join(5.0)
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)

    # ---- the loop ---------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=2.0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        if threading.current_thread() is self._thread:
            function(*args)
            return
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            log.debug("call after close: %s", getattr(function, "__name__", function))

    # ---- the queue --------------------------------------------------------------------------

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane())

    def _enqueue(self, job: _Job) -> None:
        self._idle.clear()
        lane = self._lane(job.spec.lane)
        lane.waiting.append(job)
        if not job.spec.background:
            for other in [*lane.running, *lane.waiting]:
                if other.spec.background:
                    self._stop(other, "cancelled")
        self._changed(job)
        self._pump(lane)

    def _pump(self, lane: _Lane) -> None:
        if self._closing or lane.held:
            return
        for job in list(lane.waiting):
            if len(lane.running) >= lane.slots:
                return
            before = self._jobs.get(job.spec.after) if job.spec.after else None
            if before is not None and not before.ended.is_set():
                continue
            lane.waiting.remove(job)
            lane.running.add(job)
            job.state = "running"
            job.phase = "starting"
            job.started_at = self._clock()
            job.task = self._loop.create_task(self._run(job))
            self._changed(job)
        self._ensure_tick()

    def _set_slots(self, name: str, slots: int) -> None:
        lane = self._lane(name)
        lane.slots = max(1, slots)
        self._pump(lane)

    def _stop(self, job: _Job, reason: FinishReason) -> None:
        if job.ended.is_set() or job.ending or job.stop_reason is not None:
            return
        job.stop_reason = reason
        if job.task is not None:
            # a task that has not begun would end without a word; it looks at stop_reason itself
            if job.begun:
                job.task.cancel()
            return
        lane = self._lane(job.spec.lane)
        if job in lane.waiting:
            lane.waiting.remove(job)
        job.ending = True
        job.task = self._loop.create_task(self._end(job, reason, None))

    # ---- one job ----------------------------------------------------------------------------

    async def _run(self, job: _Job) -> None:
        journal = self._loop.create_task(self._keep_journal(job)) if job.message else None
        reason: FinishReason
        error: Mapping[str, Any] | None = None
        job.begun = True
        try:
            if job.stop_reason is not None:
                raise asyncio.CancelledError
            reason = await self._write(job)
        except asyncio.CancelledError:
            reason = job.stop_reason or "interrupted"
            self._close_part(job, reason, None)
            if reason == "guard":
                self._cut_tail(job)
        except TwoKeysError as failure:
            reason, error = "error", {"code": failure.code, "params": _plain(failure.params)}
            self._close_part(job, reason, None)
        except Exception as failure:
            log.exception("job %s failed", job.id)
            reason = "error"
            error = {"code": "unexpected", "params": {"reason": f"{type(failure).__name__}: {failure}"}}
            self._close_part(job, reason, None)
        job.ending = True
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            task.uncancel()
        lane = self._lane(job.spec.lane)
        lane.running.discard(job)
        if journal is not None:
            journal.cancel()
            await asyncio.wait([journal])
        await self._end(job, reason, error)

    async def _write(self, job: _Job) -> FinishReason:
        engine = await job.spec.engine()
        job.engine = engine
        part: Part | None = await self._prepare(job, engine)
        reason: FinishReason = "stop"
        while part is not None:
            self._set_slots(job.spec.lane, part.info.slots)
            self._open_part(job, part)
            finished = await self._read_events(job, engine.generate(part.request))
            if finished is None:
                reason = "guard"
                self._close_part(job, reason, None)
                self._cut_tail(job)
                break
            reason = finished.reason
            self._close_part(job, reason, finished)
            part = None
            if reason == "length" and job.spec.more is not None:
                part = await job.spec.more(self._outcome(job), engine)
        return reason

    async def _prepare(self, job: _Job, engine: Engine) -> Part:
        """Let the job prepare its request, showing how the engine's start goes meanwhile."""
        preparing = self._loop.create_task(_as_coroutine(job.spec.prepare(engine)))
        try:
            while not preparing.done():
                phase = engine.phase if isinstance(engine, Startable) else None
                if phase is not None and (phase.name, phase.progress) != (job.phase, job.progress):
                    job.phase, job.progress = phase.name, phase.progress
                    self._changed(job)
                await asyncio.wait({preparing}, timeout=PROGRESS_INTERVAL_S)
        finally:
            preparing.cancel()
        return preparing.result()

    async def _read_events(self, job: _Job, stream: AsyncIterator[EngineEvent]) -> Finished | None:
        """Follow the stream to its Finished; None when the guard ended it."""
        async with aclosing(cast("Any", stream)) as events:
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
                    self._changed(job)
                if self._guard_says_stop(job):
                    return None
        raise TwoKeysError(reason="the engine's stream ended without a finish")

    def _open_part(self, job: _Job, part: Part) -> None:
        job.part = part
        job.part_started_at = self._clock()
        job.part_started_mono = self._monotonic()
        job.part_from_char, job.part_from_token = len(job.text), len(job.token_ids)
        job.part_guard_from = len(job.guard)
        job.first_token_mono = job.last_token_mono = None
        job.prompt_tokens = part.prompt_tokens
        job.phase, job.progress = "prompt", None
        self._changed(job)

    def _take_progress(self, job: _Job, event: PromptProgress) -> None:
        job.phase = "prompt"
        job.progress = min(1.0, event.processed / event.total) if event.total else None
        job.prompt_tokens, job.cached_tokens = event.total, event.cached
        now = self._monotonic()
        if now - job.last_progress_mono >= PROGRESS_INTERVAL_S:
            job.last_progress_mono = now
            self._changed(job)

    def _take_delta(self, job: _Job, delta: Delta) -> bool:
        now = self._monotonic()
        if job.first_token_mono is None:
            job.first_token_mono = now
            if job.ttft_s is None:
                job.ttft_s = now - job.part_started_mono
            job.phase, job.progress = "generating", None
            self._changed(job)
        job.last_token_mono = now
        job.text += delta.text
        job.token_ids.extend(delta.token_ids)
        job.token_count += len(delta.token_ids) or (1 if delta.text else 0)
        if delta.probs and job.spec.keep_probs:
            job.probs.extend(delta.probs)
        made = job.token_count - job.part_from_token
        since_first = now - job.first_token_mono
        if made > 1 and since_first > 0:
            job.tok_per_s = (made - 1) / since_first
        if job.told_stall:
            job.told_stall = False
            self._changed(job)
        job.version += 1
        job.dirty.set()
        self._emit_delta_soon(job, now)
        if job.watcher is None:
            return False
        return self._watch(
            job,
            lambda watcher: watcher.on_token(delta.text, job.token_count, len(job.text), delta.probs, now),
        )

    def _watch(self, job: _Job, ask: Callable[[Watcher], list[GuardEvent]]) -> bool:
        """Ask the watcher; return whether it wants the answer to end."""
        if job.watcher is None:
            return False
        try:
            noticed = ask(job.watcher)
        except Exception:
            # a mistake in the watcher must not cost the answer
            log.exception("watcher of job %s failed and was taken off", job.id)
            job.watcher = None
            return False
        for event in noticed:
            job.guard.append(event)
            job.version += 1
            self._emit_for(job, {"type": "guard", "event": guard_dict(event)})
        return self._guard_says_stop(job)

    def _last_words(self, job: _Job) -> dict[str, Any]:
        """Let the watcher read what was left open; return its summary for the provenance."""
        if job.watcher is None or not job.parts:
            return {}
        watcher = job.watcher
        told = len(job.guard)
        try:
            for event in watcher.finish():
                job.guard.append(event)
                self._emit_for(job, {"type": "guard", "event": guard_dict(event)})
            report = dict(watcher.report())
        except Exception:
            log.exception("watcher of job %s failed at its end", job.id)
            return {}
        late = [guard_dict(event) for event in job.guard[told:]]
        job.parts[-1] = {**job.parts[-1], "guard": [*job.parts[-1]["guard"], *late]}
        return {"guard_report": report}

    def _guard_says_stop(self, job: _Job) -> bool:
        return any(event.level == "stop" for event in job.guard[job.part_guard_from :])

    def _close_part(self, job: _Job, reason: FinishReason, finished: Finished | None) -> None:
        """Write the record of the part being written, if one was begun."""
        part, job.part = job.part, None
        if part is None:
            return
        now = self._monotonic()
        new_ids = len(job.token_ids) - job.part_from_token
        complete = new_ids > 0 or len(job.text) == job.part_from_char
        if finished is not None:
            usage, timings = finished.usage, finished.timings
            # the closing token may or may not be among the ids
            complete = complete and abs(usage.completion_tokens - new_ids) <= 1
            job.prompt_tokens, job.cached_tokens = usage.prompt_tokens, usage.cached_tokens
            job.tok_per_s = timings.tok_per_s or job.tok_per_s
            job.ttft_s = timings.ttft_s if timings.ttft_s is not None and not job.parts else job.ttft_s
            job.token_count = sum(p["completion_tokens"] for p in job.parts) + usage.completion_tokens
        else:
            made = new_ids or job.token_count - sum(p["completion_tokens"] for p in job.parts)
            usage = Usage(job.prompt_tokens or 0, max(0, made), job.cached_tokens or 0)
            timings = _own_timings(job, now)
        if not complete and job.token_ids:
            job.token_ids = job.token_ids[: job.part_from_token]
        record = part_record(
            part,
            reason,
            finished,
            usage=usage,
            timings=timings,
            guard=job.guard[job.part_guard_from :],
            started_at=job.part_started_at,
            finished_at=self._clock(),
            chars=(job.part_from_char, len(job.text)),
            from_token=job.part_from_token,
            token_ids_complete=complete,
        )
        job.parts.append(record)

    def _cut_tail(self, job: _Job) -> None:
        """Take off what the guard judged not worth keeping; it stays in the provenance."""
        stop = next(event for event in reversed(job.guard) if event.level == "stop")
        cut = stop.data.get("cut_at_char")
        if not isinstance(cut, int) or not 0 <= cut < len(job.text):
            return
        record = dict(job.parts[-1])
        record["removed_tail"] = job.text[cut:]
        record["token_ids_complete"] = False
        job.parts[-1] = record
        job.text = job.text[:cut] + str(stop.data.get("cut_suffix", ""))
        record["to_char"] = len(job.text)
        # ids of the kept text are not known to the token; continuing goes by the text
        job.token_ids = []
        job.emitted_chars = min(job.emitted_chars, cut)

    async def _end(self, job: _Job, reason: FinishReason, error: Mapping[str, Any] | None) -> None:
        """Store and tell the end of a job, then call its hooks. Runs once per job."""
        self._flush_delta(job)
        report = self._last_words(job)
        job.finish_reason, job.error = reason, error
        state: JobState = "done"
        if reason == "error":
            state = "failed"
        elif reason == "cancelled":
            state = "cancelled"
        elif reason == "interrupted":
            state = "interrupted"
        if job.message is not None:
            job.message = replace(
                job.message,
                content=job.text,
                token_ids=tuple(job.token_ids) if _ids_usable(job) else (),
                state=_message_state(state),
                finish_reason=reason,
                error=error,
                provenance={**job.message.provenance, **merge_parts(job.parts), **report},
            )
            try:
                await self._store_end(job)
            except Exception:
                # whatever happens to the store, a job has an end
                log.exception("the answer of job %s could not be stored", job.id)
        job.state, job.phase, job.progress = state, None, None
        job.version += 1
        last = job.parts[-1] if job.parts else {}
        done = {
            "type": "done",
            "state": state,
            "finish_reason": reason,
            "usage": {
                "prompt_tokens": job.prompt_tokens,
                "completion_tokens": job.token_count,
                "cached_tokens": job.cached_tokens,
            },
            "timings": last.get("timings", {}),
            "error": dict(error) if error else None,
            "chars": len(job.text),
            "unsaved": job.id in self._unsaved,
        }
        outcome = self._outcome(job)
        lane = self._lane(job.spec.lane)
        job.ended.set()
        self._emit_for(job, done)
        self._forget_old()
        if not any(_active(other) for other in self._jobs.values()):
            self._idle.set()
        self._pump(lane)
        hooks = [*([job.spec.on_done] if job.spec.on_done else []), *self._hooks]
        for hook in hooks:
            try:
                await asyncio.to_thread(hook, outcome)
            except Exception:
                log.exception("hook after job %s failed", job.id)

    # ---- the journal ------------------------------------------------------------------------

    async def _keep_journal(self, job: _Job) -> None:
        """Store new text soon after it came, again and again, also past a full disk."""
        await self._mark_streaming(job)
        while True:
            await job.dirty.wait()
            job.dirty.clear()
            try:
                await self._append(job)
            except StoreError as error:
                self._tell_unsaved(job, error)
                job.dirty.set()
                await asyncio.sleep(JOURNAL_RETRY_S)
                continue
            self._tell_saved(job)
            await asyncio.sleep(JOURNAL_INTERVAL_S)

    async def _mark_streaming(self, job: _Job) -> None:
        if job.message is None:
            return
        streaming = replace(job.message, state="streaming")
        try:
            await self._loop.run_in_executor(self._writer, self._journal.begin, streaming)
        except StoreError as error:
            self._tell_unsaved(job, error)

    async def _append(self, job: _Job) -> None:
        if job.message is None:
            return
        text, ids = job.text[job.journalled_chars :], job.token_ids[job.journalled_ids :]
        chars, count = len(job.text), len(job.token_ids)
        await self._loop.run_in_executor(self._writer, self._journal.append, job.message.id, text, ids)
        job.journalled_chars, job.journalled_ids = chars, count

    async def _store_end(self, job: _Job) -> None:
        try:
            await self._loop.run_in_executor(self._writer, self._finish, job)
        except StoreError as error:
            self._unsaved[job.id] = job
            self._tell_unsaved(job, error)
            if self._retry_task is None or self._retry_task.done():
                self._retry_task = self._loop.create_task(self._retry_unsaved())
        except RuntimeError:
            log.warning("journal closed before job %s was stored", job.id)
        else:
            self._tell_saved(job)

    def _finish(self, job: _Job) -> None:
        if job.message is None:
            return
        self._journal.finish(job.message)
        if job.probs:
            self._journal.put_probs(job.message.id, job.probs)
        if job.guard:
            self._journal.add_events(job.message.id, job.guard)

    async def _retry_unsaved(self) -> None:
        while self._unsaved:
            await asyncio.sleep(JOURNAL_RETRY_S)
            for job in list(self._unsaved.values()):
                try:
                    await self._loop.run_in_executor(self._writer, self._finish, job)
                except StoreError:
                    continue
                del self._unsaved[job.id]
                self._tell_saved(job)
                self._emit(job.spec.topic, {"type": "changed"})

    def _tell_unsaved(self, job: _Job, error: TwoKeysError) -> None:
        first = job.journal_error is None
        job.journal_error = error
        if first:
            log.warning("answer of job %s cannot be stored now: %s", job.id, error)
            told = {"code": error.code, "params": _plain(error.params)}
            self._emit_for(job, {"type": "notice", "error": told})

    def _tell_saved(self, job: _Job) -> None:
        if job.journal_error is not None:
            job.journal_error = None
            self._emit_for(job, {"type": "notice", "error": None})

    # ---- events -----------------------------------------------------------------------------

    def _add_subscriber(self, topic: str, callback: Callback) -> None:
        views = [view.to_dict() for view in self.views(topic)]
        for job in list(self._jobs.values()):
            if job.spec.topic == topic and _active(job):
                # what the snapshot holds must not come again as a delta to this subscriber only
                self._flush_delta(job)
        self._subscribers.setdefault(topic, []).append(callback)
        self._deliver(topic, callback, {"type": "snapshot", "jobs": views})
        if topic == ENGINE_TOPIC and (self._meter_task is None or self._meter_task.done()):
            self._meter_task = self._loop.create_task(self._send_meter())

    def _remove_subscriber(self, topic: str, callback: Callback) -> None:
        listeners = self._subscribers.get(topic, [])
        if callback in listeners:
            listeners.remove(callback)
        if not listeners:
            self._subscribers.pop(topic, None)

    def _emit(self, topic: str, event: Event) -> None:
        for callback in list(self._subscribers.get(topic, ())):
            self._deliver(topic, callback, event)

    def _deliver(self, topic: str, callback: Callback, event: Event) -> None:
        try:
            callback(event)
        except Exception:
            log.exception("a subscriber of %s failed and was dropped", topic)
            self._remove_subscriber(topic, callback)

    def _emit_for(self, job: _Job, event: Event) -> None:
        message_id = job.message.id if job.message else None
        self._emit(job.spec.topic, {**event, "job": job.id, "message": message_id})

    def _changed(self, job: _Job) -> None:
        job.version += 1
        if job.spec.topic in self._subscribers:
            self._emit(job.spec.topic, {"type": "job", "job": self._view(job).to_dict(text=False)})

    def _emit_delta_soon(self, job: _Job, now: float) -> None:
        if job.delta_timer is not None:
            return
        wait_s = job.last_delta_mono + DELTA_INTERVAL_S - now
        if wait_s <= 0:
            self._flush_delta(job)
        else:
            job.delta_timer = self._loop.call_later(wait_s, self._flush_delta, job)

    def _flush_delta(self, job: _Job) -> None:
        if job.delta_timer is not None:
            job.delta_timer.cancel()
            job.delta_timer = None
        if len(job.text) <= job.emitted_chars and len(job.probs) <= job.emitted_probs:
            return
        job.last_delta_mono = self._monotonic()
        event: Event = {
            "type": "delta",
            "at": job.emitted_chars,
            "text": job.text[job.emitted_chars :],
            "n": job.token_count,
        }
        if len(job.probs) > job.emitted_probs:
            event["probs"] = [asdict(prob) for prob in job.probs[job.emitted_probs :]]
        job.emitted_chars, job.emitted_probs = len(job.text), len(job.probs)
        self._emit_for(job, event)

    def _ensure_tick(self) -> None:
        if self._tick_task is None or self._tick_task.done():
            self._tick_task = self._loop.create_task(self._tick())

    async def _tick(self) -> None:
        """Twice a second: stalls, the watchers' sense of time."""
        while any(lane.running for lane in self._lanes.values()):
            await asyncio.sleep(TICK_S)
            now = self._monotonic()
            for job in [job for lane in self._lanes.values() for job in lane.running]:
                if job.ending or job.last_token_mono is None:
                    continue
                if now - job.last_token_mono >= STALL_S:
                    job.told_stall = True
                    self._changed(job)
                if await self._tell_time(job, now):
                    self._stop(job, "guard")

    async def _tell_time(self, job: _Job, now: float) -> bool:
        """Let the watcher notice a stall, and whether it is the engine's; return whether to stop."""
        if job.watcher is None:
            return False
        stop = self._watch(job, lambda watcher: watcher.on_tick(now))
        if job.watcher is not None and job.engine is not None and job.watcher.wants_probe(now):
            healthy = await job.engine.healthy()
            stop = self._watch(job, lambda watcher: watcher.report_health(healthy, self._monotonic())) or stop
        return stop

    async def _send_meter(self) -> None:
        while self._subscribers.get(ENGINE_TOPIC):
            if self.meter is not None:
                try:
                    reading = await asyncio.to_thread(self.meter)
                except Exception:
                    log.exception("the memory meter failed")
                    reading = {}
                self._emit(ENGINE_TOPIC, {"type": "meter", **reading})
            await asyncio.sleep(METER_INTERVAL_S)

    # ---- views ------------------------------------------------------------------------------

    def _view(self, job: _Job) -> JobView:
        stalled_s = 0.0
        if job.state == "running" and job.last_token_mono is not None and not job.ending:
            gap_s = self._monotonic() - job.last_token_mono
            stalled_s = gap_s if gap_s >= STALL_S else 0.0
        return JobView(
            id=job.id,
            topic=job.spec.topic,
            message_id=job.message.id if job.message else None,
            state=job.state,
            phase=job.phase,
            progress=job.progress,
            text=job.text,
            token_count=job.token_count,
            prompt_tokens=job.prompt_tokens,
            cached_tokens=job.cached_tokens,
            queued_at=job.queued_at,
            started_at=job.started_at,
            ttft_s=job.ttft_s,
            tok_per_s=job.tok_per_s,
            stalled_s=stalled_s,
            finish_reason=job.finish_reason,
            error=job.error,
            guard=tuple(job.guard),
            unsaved=job.journal_error is not None,
            version=job.version,
        )

    def _outcome(self, job: _Job) -> Outcome:
        return Outcome(
            view=self._view(job),
            message=job.message,
            parts=tuple(job.parts),
            text=job.text,
            token_ids=tuple(job.token_ids) if _ids_usable(job) else (),
            probs=tuple(job.probs),
        )

    def _overlaid(self, message: Message, job: _Job | None) -> Message:
        if job is None or job.message is None:
            return message
        if not _active(job):
            return replace(job.message, version=message.version, versions=message.versions)
        state: Literal["queued", "streaming"] = "queued" if job.state == "queued" else "streaming"
        return replace(message, content=job.text, state=state, finish_reason=None, error=None)

    def _forget_old(self) -> None:
        ended = [job_id for job_id, job in self._jobs.items() if job.ended.is_set()]
        for job_id in ended[: max(0, len(ended) - KEPT_JOBS)]:
            if job_id not in self._unsaved:
                del self._jobs[job_id]


def _message_state(state: JobState) -> MessageState:
    if state in ("failed", "interrupted"):
        return state
    return "done"


def _active(job: _Job) -> bool:
    return not job.ended.is_set()


def _ids_usable(job: _Job) -> bool:
    """Whether the ids are the whole answer: every part told all of its own."""
    return all(part.get("token_ids_complete", True) for part in job.parts)


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _own_timings(job: _Job, now: float) -> Timings:
    """Timings of a part that the engine did not finish, by our own clock."""
    ttft_s = job.first_token_mono - job.part_started_mono if job.first_token_mono is not None else None
    decode_s = now - job.first_token_mono if job.first_token_mono is not None else None
    return Timings(
        ttft_s=ttft_s, total_s=now - job.part_started_mono, decode_s=decode_s, tok_per_s=job.tok_per_s
    )


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what JSON can hold of an error's values; the rest as text."""
    simple = (str, int, float, bool, type(None))
    return {name: value if isinstance(value, simple) else str(value) for name, value in params.items()}
