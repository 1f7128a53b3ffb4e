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
    decay     {job, message, decay: {series, downhill_at}}  when the line along the answer has grown
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
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from twokeys.core.job import ENGINE_LANE, Job, JobSpec, JobState, JobView, Outcome, end_state
from twokeys.core.journal import JournalKeeper
from twokeys.core.ports import Journal, Watcher
from twokeys.core.provenance import Part, probs_in
from twokeys.engine import Engine, Startable
from twokeys.errors import Reason, TwoKeysError
from twokeys.ids import new_id
from twokeys.types import (
    Delta,
    EngineEvent,
    Finished,
    FinishReason,
    GuardEvent,
    Message,
    Phase,
    PromptProgress,
    TokenProb,
)

__all__ = ["ENGINE_LANE", "ENGINE_TOPIC", "JobManager", "JobSpec", "JobState", "JobView", "Outcome"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Event = dict[str, Any]
Callback = Callable[[Event], None]

ENGINE_TOPIC = "engine"
DELTA_INTERVAL_S = 0.04
PROGRESS_INTERVAL_S = 0.1
TICK_S = 0.5
METER_INTERVAL_S = 2.0
KEPT_JOBS = 200


@dataclass(slots=True)
class _Lane:
    slots: int = 1
    waiting: list[Job] = field(default_factory=list)
    running: set[Job] = field(default_factory=set)
    held: int = 0
    engine_config: str = ""

    def admits(self, job: Job) -> bool:
        """Whether the job may run beside those that run; its engine_config becomes the lane's then."""
        if job.spec.engine_config != self.engine_config:
            if self.running:
                return False
            # how many slots the engine has in the new configuration is reported when it is there
            self.engine_config, self.slots = job.spec.engine_config, 1
        return True


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
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lanes: dict[str, _Lane] = {}
        self._subscribers: dict[str, list[Callback]] = {}
        self._hooks: list[Callable[[Outcome], None]] = []
        self._closing = False
        self._closed = False
        self._tick_task: asyncio.Task[None] | None = None
        self._meter_task: asyncio.Task[None] | None = None
        self._workers = ThreadPoolExecutor(8, thread_name_prefix="twokeys-work")
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(self._workers)
        self._keeper = JournalKeeper(journal, self._loop, self._emit_for)
        self._thread = threading.Thread(target=self._serve, name="twokeys-jobs", daemon=True)
        self._thread.start()

    # ---- called from any thread -------------------------------------------------------------

    def start(self, spec: JobSpec) -> JobView:
        """Store the answer's beginning, queue the job and return it as it is now.

        Raises StoreError when the beginning cannot be stored; then nothing was queued.
        """
        if self._closing:
            raise TwoKeysError(reason="closing")
        probs: list[TokenProb] = []
        if spec.message is not None:
            if not spec.begun:
                self._journal.begin(replace(spec.message, state="queued", finish_reason=None, error=None))
            if spec.keep_probs and spec.message.content:
                stored = self._journal.get_probs(spec.message.id)
                probs = probs_in(stored, spec.message.content)
                if len(probs) < len(stored):
                    self._journal.put_probs(spec.message.id, probs)
        job = Job.of(new_id(), spec, self._clock(), probs)
        self._jobs[job.id] = job
        self._call(self._enqueue, job)
        return job.view(self._monotonic())

    def outcome(
        self,
        spec: JobSpec,
        timeout_s: float | None = None,
        *,
        started: Callable[[JobView], None] | None = None,
    ) -> Outcome:
        """Start a job, wait for its end and return how it ended; `spec.on_done` is called before.

        Not from the loop's thread. started: hears of the job before it is waited for. Raises what
        `start` raises; after `timeout_s` the job is stopped and TimeoutError raised.
        """
        ended: Future[Outcome] = Future()

        def keep(outcome: Outcome) -> None:
            try:
                if spec.on_done is not None:
                    spec.on_done(outcome)
            finally:
                ended.set_result(outcome)

        job = self.start(replace(spec, on_done=keep))
        if started is not None:
            started(job)
        try:
            return ended.result(timeout_s)
        except TimeoutError:
            self.stop(job.id)
            raise TimeoutError(f"{spec.topic}: no end after {timeout_s} s") from None

    def stop(self, job_id: str, *, reason: FinishReason = "cancelled") -> None:
        """End a job; its slot is free at once and the text so far is kept. Unknown ids do nothing."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._call(self._stop, job, reason)

    def stop_all(self, topic: str | None = None, *, wait_s: float = 5.0) -> list[str]:
        """Stop every queued and running job (of a topic), wait for their ends, return their ids."""
        jobs = [job for job in list(self._jobs.values()) if job.active]
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
        return job.view(self._monotonic())

    def view(self, job_id: str) -> JobView | None:
        """Return a job by its id; ended ones are remembered for a while."""
        job = self._jobs.get(job_id)
        return job.view(self._monotonic()) if job else None

    def views(self, topic: str | None = None) -> list[JobView]:
        """Return the jobs of a topic (or all) that are queued, running or not yet stored."""
        return [
            job.view(self._monotonic())
            for job in list(self._jobs.values())
            if (topic is None or job.spec.topic == topic) and (job.active or job.id in self._keeper.unsaved)
        ]

    def of_message(self, message_id: str) -> JobView | None:
        """Return the newest job that writes or wrote this answer."""
        for job in reversed(list(self._jobs.values())):
            if job.message is not None and job.message.id == message_id:
                return job.view(self._monotonic())
        return None

    def overlay(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with the text that is known here but not stored yet."""
        newest = {
            job.message.id: job
            for job in list(self._jobs.values())
            if job.message is not None and (job.active or job.id in self._keeper.unsaved)
        }
        return [
            newest[message.id].shown(message) if message.id in newest else message for message in messages
        ]

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
        jobs = [job for job in list(self._jobs.values()) if job.active]
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
        self._keeper.close()
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

    def _enqueue(self, job: Job) -> None:
        if job.ending:
            return  # stopped by another thread before it stood in the queue
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
            if not lane.admits(job):
                return
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

    def _stop(self, job: Job, reason: FinishReason) -> None:
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

    async def _run(self, job: Job) -> None:
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
        except TwoKeysError as failure:
            reason, error = "error", failure.stored()
            job.close_part(reason, None, self._clock(), self._monotonic())
        except Exception as failure:
            log.exception("job %s failed", job.id)
            reason = "error"
            error = {"code": "unexpected", "params": {"reason": f"{type(failure).__name__}: {failure}"}}
            job.close_part(reason, None, self._clock(), self._monotonic())
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

    async def _write(self, job: Job) -> FinishReason:
        engine = await job.spec.engine()
        job.engine = engine
        part: Part | None = await self._prepare(job, engine)
        reason: FinishReason = "stop"
        while part is not None:
            self._set_slots(job.spec.lane, part.info.slots)
            job.open_part(part, self._clock(), self._monotonic())
            self._changed(job)
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

    async def _prepare(self, job: Job, engine: Engine) -> Part:
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
                    self._changed(job)
                if job.guard_stops:
                    return None
        raise TwoKeysError(reason=Reason("errors.reason.ended_early"))

    def _take_progress(self, job: Job, event: PromptProgress) -> None:
        job.read_prompt(event)
        now = self._monotonic()
        if now - job.last_progress_mono >= PROGRESS_INTERVAL_S:
            job.last_progress_mono = now
            self._changed(job)

    def _take_delta(self, job: Job, delta: Delta) -> bool:
        """Add new text and tell it; return whether the watcher wants the answer to end."""
        now = self._monotonic()
        first = job.first_token_mono is None
        job.grow(delta, now)
        if first or job.told_stall:
            job.told_stall = False
            self._changed(job)
        job.dirty.set()
        self._emit_delta_soon(job, now)
        if job.watcher is None:
            return False
        return self._watch(
            job,
            lambda watcher: watcher.on_token(delta.text, job.token_count, len(job.text), delta.probs, now),
        )

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
            self._emit_for(job, {"type": "guard", "event": event.to_dict()})
        if decay:
            job.decay = decay
            self._emit_for(job, {"type": "decay", "decay": decay})
        return job.guard_stops

    def _last_words(self, job: Job) -> dict[str, Any]:
        """Let the watcher read what was left open; return its summary for the provenance."""
        if job.watcher is None or not job.parts:
            return {}
        watcher = job.watcher
        told = len(job.guard)
        try:
            for event in watcher.finish():
                job.guard.append(event)
                self._emit_for(job, {"type": "guard", "event": event.to_dict()})
            report = dict(watcher.report())
        except Exception:
            log.exception("watcher of job %s failed at its end", job.id)
            return {}
        late = [event.to_dict() for event in job.guard[told:]]
        job.parts[-1] = {**job.parts[-1], "guard": [*job.parts[-1]["guard"], *late]}
        return {"guard_report": report}

    async def _end(self, job: Job, reason: FinishReason, error: Mapping[str, Any] | None) -> None:
        """Store and tell the end of a job, then call its hooks. Runs once per job."""
        self._flush_delta(job)
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
        last = job.parts[-1] if job.parts else {}
        done = {
            "type": "done",
            "state": job.state,
            "finish_reason": reason,
            "usage": {
                "prompt_tokens": job.prompt_tokens,
                "completion_tokens": job.token_count,
                "cached_tokens": job.cached_tokens,
            },
            "timings": last.get("timings", {}),
            "error": dict(error) if error else None,
            "chars": len(job.text),
            "unsaved": job.id in self._keeper.unsaved,
        }
        outcome = job.outcome(self._monotonic())
        lane = self._lane(job.spec.lane)
        job.ended.set()
        self._emit_for(job, done)
        self._forget_old()
        if not any(other.active for other in self._jobs.values()):
            self._idle.set()
        self._pump(lane)
        hooks = [*([job.spec.on_done] if job.spec.on_done else []), *self._hooks]
        for hook in hooks:
            try:
                await asyncio.to_thread(hook, outcome)
            except Exception:
                log.exception("hook after job %s failed", job.id)
        if job.id not in self._keeper.unsaved:
            job.forget_bulk()

    # ---- events -----------------------------------------------------------------------------

    def _add_subscriber(self, topic: str, callback: Callback) -> None:
        views = [view.to_dict() for view in self.views(topic)]
        for job in list(self._jobs.values()):
            if job.spec.topic == topic and job.active:
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

    def _emit_for(self, job: Job, event: Event) -> None:
        message_id = job.message.id if job.message else None
        self._emit(job.spec.topic, {**event, "job": job.id, "message": message_id})

    def _changed(self, job: Job) -> None:
        job.version += 1
        if job.spec.topic in self._subscribers:
            self._emit(
                job.spec.topic, {"type": "job", "job": job.view(self._monotonic()).to_dict(text=False)}
            )

    def _emit_delta_soon(self, job: Job, now: float) -> None:
        if job.delta_timer is not None:
            return
        wait_s = job.last_delta_mono + DELTA_INTERVAL_S - now
        if wait_s <= 0:
            self._flush_delta(job)
        else:
            job.delta_timer = self._loop.call_later(wait_s, self._flush_delta, job)

    def _flush_delta(self, job: Job) -> None:
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
            running = [job for lane in self._lanes.values() for job in lane.running]
            writing = [job for job in running if not job.ending and job.last_token_mono is not None]
            # side by side: a health check of an engine that hangs takes seconds
            await asyncio.gather(*(self._tell_time(job, now) for job in writing))

    async def _tell_time(self, job: Job, now: float) -> None:
        """Tell a stall, and let the watcher notice it and whether it is the engine's."""
        if job.last_token_mono is not None and now - job.last_token_mono >= job.stall_limit_s:
            job.told_stall = True
            self._changed(job)
        if job.watcher is None:
            return
        stop = self._watch(job, lambda watcher: watcher.on_tick(now))
        if job.watcher is not None and job.engine is not None and job.watcher.wants_probe(now):
            healthy = await job.engine.healthy()
            stop = self._watch(job, lambda watcher: watcher.report_health(healthy, self._monotonic())) or stop
        if stop:
            self._stop(job, "guard")

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

    def _forget_old(self) -> None:
        ended = [job_id for job_id, job in self._jobs.items() if job.ended.is_set()]
        for job_id in ended[: max(0, len(ended) - KEPT_JOBS)]:
            if job_id not in self._keeper.unsaved:
                del self._jobs[job_id]


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
