"""The job manager: a generation is a job, not a script run (decision D2).

One loop (`loop.py`) owns all generations. The public methods are synchronous and may be called from
any thread unless they say otherwise. A job waits in its queue until one of the queue's slots is free,
journals its text several times a second, tells the listeners of its topic what happens (`topics.py`),
and stops at once when asked. It knows nothing of prompts, conversations' trees or parameters:
`JobSpec.prepare` brings the request, and `job_run.py` follows it to its end.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from twokeys.core.job import ENGINE_QUEUE, Job, JobSpec, JobState, JobView, Outcome
from twokeys.core.job_events import JobEvents
from twokeys.core.job_run import Hook, JobRuns
from twokeys.core.job_table import JobTable
from twokeys.core.journal import JournalKeeper, Rescue
from twokeys.core.loop import EngineLoop
from twokeys.core.ports import Journal
from twokeys.core.provenance import probs_in
from twokeys.core.topics import ENGINE_TOPIC, Event, Topics
from twokeys.errors import TwoKeysError
from twokeys.ids import new_id
from twokeys.types import FinishReason, Message, TokenProb

__all__ = ["ENGINE_QUEUE", "ENGINE_TOPIC", "JobManager", "JobSpec", "JobState", "JobView", "Outcome"]

TICK_S = 0.5
STOPPING_S = 5.0


@dataclass(slots=True)
class _Queue:
    """Jobs that share an engine's slots. engine_config: how the engine runs now; see JobSpec."""

    slots: int = 1
    waiting: list[Job] = field(default_factory=list)
    running: set[Job] = field(default_factory=set)
    held: int = 0
    engine_config: str = ""

    def wait(self, job: Job) -> None:
        """Put a job at the end, or a person's before the first of a program."""
        at = len(self.waiting)
        if not job.spec.for_program:
            at = next((n for n, other in enumerate(self.waiting) if other.spec.for_program), at)
        self.waiting.insert(at, job)

    def admits(self, job: Job) -> bool:
        """Whether the job may run beside those that run; the engine then runs as it wants."""
        if job.spec.engine_config != self.engine_config:
            if self.running:
                return False
            # how many slots the engine has in its new configuration is reported when it is there
            self.engine_config, self.slots = job.spec.engine_config, 1
        return True


class JobManager:
    """Owns all running generations of the process.

    loop: where engines are awaited. topics: who hears what.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        meter: Callable[[], Mapping[str, Any]] | None = None,
        rescue: Rescue | None = None,
    ) -> None:
        """rescue: where an answer goes that the journal cannot take even at the close."""
        self._journal = journal
        self._clock = clock
        self._monotonic = monotonic
        self._jobs = JobTable()
        self._queues: dict[str, _Queue] = {}
        self._hooks: list[Hook] = []
        self._closing = False
        self._closed = False
        self._tick_task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.loop = EngineLoop("twokeys-jobs")
        self.topics = Topics(self.loop, self._snapshot, meter=meter)
        self._events = JobEvents(self.topics, self.loop, monotonic)
        self._keeper = JournalKeeper(journal, self.loop, self._events.send, rescue=rescue)
        self._runs = JobRuns(self, self.loop, self._events, self._keeper, clock, monotonic)

    # ---- starting and stopping --------------------------------------------------------------

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
        self._jobs.add(job)
        self.loop.call(self._enqueue, job)
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
        job, ended = self.begin(spec)
        if started is not None:
            started(job)
        try:
            return ended.result(timeout_s)
        except TimeoutError:
            self.stop(job.id)
            raise TimeoutError(f"{spec.topic}: no end after {timeout_s} s") from None

    def begin(self, spec: JobSpec) -> "tuple[JobView, Future[Outcome]]":
        """Start a job; return it and the future of its outcome, which a coroutine can await wrapped."""
        ended: Future[Outcome] = Future()

        def keep(outcome: Outcome) -> None:
            try:
                if spec.on_done is not None:
                    spec.on_done(outcome)
            finally:
                if not ended.done():
                    ended.set_result(outcome)

        return self.start(replace(spec, on_done=keep)), ended

    def stop(self, job_id: str, *, reason: FinishReason = "cancelled") -> None:
        """End a job; its slot is free at once and the text so far is kept. Unknown ids do nothing."""
        job = self._jobs.get(job_id)
        if job is not None:
            self.loop.call(self._stop, job, reason)

    def stop_all(self, topic: str | None = None, *, wait_s: float = STOPPING_S) -> list[str]:
        """Stop every queued and running job (of a topic), wait for their ends, return their ids."""
        jobs = self._jobs.active(topic)
        self._stop_and_wait(jobs, "cancelled", wait_s)
        return [job.id for job in jobs]

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """Return the job once it has ended (or the time is over). KeyError for an unknown id."""
        job = self._jobs.get(job_id)
        if job is None:
            raise KeyError(job_id)
        job.ended.wait(timeout_s)
        return job.view(self._monotonic())

    def on_done(self, hook: Hook) -> None:
        """Call `hook` in a worker thread after every job that ended."""
        self._hooks.append(hook)

    def interrupt_all(self, wait_s: float = STOPPING_S) -> None:
        """Take no more jobs and end all there are as interrupted, their text stored."""
        self._closing = True
        self._stop_and_wait(self._jobs.active(), "interrupted", wait_s)

    def close(self, wait_s: float = STOPPING_S) -> None:
        """End every job as interrupted, store its text, and stop the thread.

        Raises AnswersNotStored when the store could not take an answer to the last, all else done.
        """
        if self._closed:
            return
        self._closed = True
        self.interrupt_all(wait_s)
        self.loop.stop()
        try:
            self._keeper.close()
        finally:
            self.loop.close()

    def _stop_and_wait(self, jobs: Sequence[Job], reason: FinishReason, wait_s: float) -> None:
        for job in reversed(jobs):
            self.loop.call(self._stop, job, reason)
        deadline = time.monotonic() + wait_s
        for job in jobs:
            job.ended.wait(max(0.0, deadline - time.monotonic()))

    # ---- looking ----------------------------------------------------------------------------

    def view(self, job_id: str) -> JobView | None:
        """Return a job by its id; ended ones are remembered for a while."""
        job = self._jobs.get(job_id)
        return job.view(self._monotonic()) if job else None

    def views(self, topic: str | None = None) -> list[JobView]:
        """Return the jobs of a topic (or all) that are queued, running or not yet stored."""
        return [
            job.view(self._monotonic())
            for job in self._jobs
            if (topic is None or job.spec.topic == topic) and self._is_ahead_of_store(job)
        ]

    def of_message(self, message_id: str) -> JobView | None:
        """Return the newest job that writes or wrote this answer."""
        job = self._jobs.of_message(message_id)
        return job.view(self._monotonic()) if job else None

    def overlay(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with the text that is known here but not stored yet."""
        newest = {job.message_id: job for job in self._jobs if self._is_ahead_of_store(job)}
        return [
            newest[message.id].shown(message) if message.id in newest else message for message in messages
        ]

    def _is_ahead_of_store(self, job: Job) -> bool:
        return job.active or job.id in self._keeper.unsaved

    def _snapshot(self, topic: str) -> list[Event]:
        views = [view.to_dict() for view in self.views(topic)]
        for job in self._jobs.active(topic):
            # what the snapshot holds must not come again as a delta to this subscriber only
            self._events.flush(job)
        return views

    # ---- the queues (on the loop) -----------------------------------------------------------

    async def idle(self) -> None:
        """Return when nothing is queued or running. Only on the loop."""
        await self._idle.wait()

    async def hold(self, queue: str = ENGINE_QUEUE) -> None:
        """Start no more jobs of a queue until `unhold`. Only on the loop (within `loop.run`)."""
        self._queue(queue).held += 1

    async def unhold(self, queue: str = ENGINE_QUEUE) -> None:
        """Let a held queue go on. Only on the loop."""
        held = self._queue(queue)
        held.held = max(0, held.held - 1)
        self._pump(held)

    def set_slots(self, slots: int, queue: str = ENGINE_QUEUE) -> None:
        """Say how many jobs of a queue may run side by side."""
        self.loop.call(self._set_slots, queue, slots)

    def written(self, job: Job) -> None:
        """See job_run.Owner."""
        self._queue(job.spec.queue).running.discard(job)

    def ended(self, job: Job) -> Sequence[Hook]:
        """See job_run.Owner."""
        self._jobs.forget_old(self._keeper.unsaved)
        if not self._jobs.active():
            self._idle.set()
        self._pump(self._queue(job.spec.queue))
        return [*([job.spec.on_done] if job.spec.on_done else []), *self._hooks]

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue())

    def _enqueue(self, job: Job) -> None:
        if job.ending:
            return  # stopped by another thread before it stood in the queue
        self._idle.clear()
        queue = self._queue(job.spec.queue)
        queue.wait(job)
        if not job.spec.background:
            for other in [*queue.running, *queue.waiting]:
                if other.spec.background:
                    self._stop(other, "cancelled")
        self._events.changed(job)
        self._pump(queue)

    def _pump(self, queue: _Queue) -> None:
        if self._closing or queue.held:
            return
        for job in list(queue.waiting):
            if len(queue.running) >= queue.slots:
                return
            before = self._jobs.get(job.spec.after)
            if before is not None and before.active:
                continue
            if not queue.admits(job):
                return
            queue.waiting.remove(job)
            queue.running.add(job)
            job.state, job.phase, job.started_at = "running", "starting", self._clock()
            job.task = self.loop.create_task(self._runs.run(job))
            self._events.changed(job)
        if self._tick_task is None or self._tick_task.done():
            self._tick_task = self.loop.create_task(self._tick())

    def _set_slots(self, name: str, slots: int) -> None:
        queue = self._queue(name)
        queue.slots = max(1, slots)
        self._pump(queue)

    def _stop(self, job: Job, reason: FinishReason) -> None:
        if job.stop(reason):
            queue = self._queue(job.spec.queue)
            if job in queue.waiting:
                queue.waiting.remove(job)
            job.ending = True
            job.task = self.loop.create_task(self._runs.end(job, reason))

    async def _tick(self) -> None:
        """Twice a second: stalls, the watchers' sense of time."""
        while any(queue.running for queue in self._queues.values()):
            await asyncio.sleep(TICK_S)
            now = self._monotonic()
            running = [job for queue in self._queues.values() for job in queue.running]
            writing = [job for job in running if not job.ending and job.last_token_mono is not None]
            # side by side: a health check of an engine that hangs takes seconds
            await asyncio.gather(*(self._runs.tell_time(job, now) for job in writing))
