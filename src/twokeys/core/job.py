"""One job: what is to be done (JobSpec), how it stands (JobView), how it ended (Outcome), and its state.

`Job` is the state that the manager's loop works on: it grows the text, keeps the records of its
parts and can say how it stands. It owns no task, thread or queue and tells nobody anything.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from twokeys.core.ports import Watcher
from twokeys.core.provenance import PlannedPart, merge_parts, part_record, probs_in
from twokeys.engine import Engine
from twokeys.errors import TwoKeysError
from twokeys.types import (
    Delta,
    Finished,
    FinishReason,
    GuardEvent,
    Message,
    MessageState,
    PartRecord,
    PhaseName,
    PromptProgress,
    Provenance,
    Timings,
    TokenProb,
    Usage,
)

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

ENGINE_QUEUE = "engine"
STALL_S = 2.0
"""A gap between two tokens longer than this is a stall (S2) …"""

OWN_PACE = 4.0
"""… when it is also this many times the answer's own usual gap."""

SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it is at one moment. Times of day in Unix seconds, durations in seconds.

    text: the whole answer so far, with what was there before a continuation. token_count: tokens
    of the whole answer. stalled_s: how long no token has come, 0 while that is no stall, and always
    when the person wants to hear of none (tells_stalls).
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
    tells_stalls: bool = True
    decay: Mapping[str, Any] | None = None

    @property
    def active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in ("queued", "running")

    def to_dict(self, *, text: bool = True) -> dict[str, Any]:
        """Return JSON-ready values; without the text for frequent events."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["error"] = dict(self.error) if self.error else None
        values["guard"] = [event.to_dict() for event in self.guard]
        if not text:
            values["chars"] = len(values.pop("text"))
        return values


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `message` is the answer as stored, None for jobs without one."""

    view: JobView
    message: Message | None
    parts: tuple[PartRecord, ...]
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
    begun: the caller has stored the answer's beginning (`Journal.begin`) itself, as the message's state says.
    more: asked after every part that was cut by its length; returns the next part or None.
    after: id of a job that has to end first. background: gives way to any other job of its queue.
    watcher: reads along; a stop-level event ends the answer. keep_probs: store probabilities.
    on_done: called once, in a worker thread, after the answer is stored and "done" was told.
    for_program: another program asked, so it waits behind what a person asked.
    engine_config: how the engine has to run; jobs of another one wait until those of this one have ended.
    """

    topic: str
    engine: Callable[[], Awaitable[Engine]]
    prepare: Callable[[Engine], Awaitable[PlannedPart]]
    message: Message | None = None
    begun: bool = False
    more: Callable[["Outcome", Engine], Awaitable[PlannedPart | None]] | None = None
    after: str | None = None
    queue: str = ENGINE_QUEUE
    background: bool = False
    watcher: Watcher | None = None
    keep_probs: bool = False
    on_done: Callable[[Outcome], None] | None = None
    engine_config: str = ""
    for_program: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """The changing state of one job. `now` is Unix seconds, `mono` monotonic seconds."""

    id: str
    spec: JobSpec
    queued_at: float
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    token_count: int = 0
    probs: list[TokenProb] = field(default_factory=list)
    parts: list[PartRecord] = field(default_factory=list)
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
    decay: Mapping[str, Any] | None = None
    version: int = 0
    task: asyncio.Task[None] | None = None
    watcher: Watcher | None = None
    engine: Engine | None = None
    stop_reason: FinishReason | None = None
    begun: bool = False
    ending: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    # the part being written
    part: PlannedPart | None = None
    part_started_at: float = 0.0
    part_started_mono: float = 0.0
    part_from_char: int = 0
    part_from_token: int = 0
    part_from_count: int = 0
    part_guard_from: int = 0
    first_token_mono: float | None = None
    last_token_mono: float | None = None
    usual_gap_s: float = 0.0
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
    reported_stall: bool = False
    ids_lost: bool = False
    begun_as: MessageState = "queued"
    """The state that the answer was stored with."""
    tells_stalls: bool = True
    """Whether a person wants to hear that this answer stands still."""

    @classmethod
    def of(cls, job_id: str, spec: JobSpec, now: float, stored_probs: list[TokenProb]) -> "Job":
        """Return a queued job; an answer that is to grow brings its text, ids and parts along."""
        job = cls(id=job_id, spec=spec, queued_at=now, watcher=spec.watcher)
        job.tells_stalls = spec.watcher is None or spec.watcher.tells_stalls
        if spec.message is None:
            return job
        job.begun_as = spec.message.state
        job.message = replace(spec.message, state="queued", finish_reason=None, error=None)
        job.text = job.message.content
        job.token_ids = list(job.message.token_ids)
        job.token_count = len(job.token_ids)
        job.parts = list(job.message.provenance.parts)
        if not job.token_ids:
            job.token_count = sum(part.completion_tokens or 0 for part in job.parts)
        job.probs = stored_probs
        job.journalled_chars = job.emitted_chars = len(job.text)
        job.journalled_ids = len(job.token_ids)
        job.emitted_probs = len(job.probs)
        return job

    @property
    def active(self) -> bool:
        """Whether the job is queued or running."""
        return not self.ended.is_set()

    @property
    def message_id(self) -> str | None:
        """The id of the answer that grows."""
        return self.message.id if self.message else None

    def stop(self, reason: FinishReason) -> bool:
        """Ask the job to end. True when it had not been started: whoever queued it has to end it."""
        if self.ended.is_set() or self.ending or self.stop_reason is not None:
            return False
        self.stop_reason = reason
        if self.task is None:
            return True
        if self.begun:
            # a task that has not begun would end without a word; it looks at stop_reason itself
            self.task.cancel()
        return False

    @property
    def tokens_of_parts(self) -> int:
        """Tokens of the parts that have ended."""
        return sum(part.completion_tokens or 0 for part in self.parts)

    @property
    def ids_usable(self) -> bool:
        """Whether the ids are the whole answer: every part reported all of its own."""
        return not self.ids_lost and all(part.token_ids_complete for part in self.parts)

    @property
    def guard_stops(self) -> bool:
        """Whether the watcher wants the part being written to end."""
        return any(event.level == "stop" for event in self.guard[self.part_guard_from :])

    @property
    def stall_limit_s(self) -> float:
        """The gap from which this answer stands still: 2 s, more when it is slow anyway."""
        return max(STALL_S, OWN_PACE * self.usual_gap_s)

    def open_part(self, part: PlannedPart, now: float, mono: float) -> None:
        """Begin a part: from here on text, tokens and times count for it."""
        self.part = part
        self.part_started_at, self.part_started_mono = now, mono
        if part.request.prefix and not part.request.prefix_ids:
            # another model reads the text so far: its ids would not join with the new ones
            self.token_ids, self.ids_lost = [], True
        self.part_from_char, self.part_from_token = len(self.text), len(self.token_ids)
        self.part_from_count = self.token_count
        self.part_guard_from = len(self.guard)
        self.first_token_mono = self.last_token_mono = None
        self.prompt_tokens = part.prompt_tokens
        self.phase, self.progress = "prompt", None

    def take_prompt_progress(self, event: PromptProgress) -> None:
        """Note how much of the prompt has been processed."""
        self.phase = "prompt"
        self.progress = min(1.0, event.processed / event.total) if event.total else None
        self.prompt_tokens, self.cached_tokens = event.total, event.cached

    def grow(self, delta: Delta, mono: float) -> None:
        """Add what the engine wrote."""
        if self.first_token_mono is None:
            self.first_token_mono = mono
            if self.ttft_s is None:
                self.ttft_s = mono - self.part_started_mono
            self.phase, self.progress = "generating", None
        if self.last_token_mono is not None:
            gap_s = mono - self.last_token_mono
            if gap_s < self.stall_limit_s:
                share = SMOOTHING if self.usual_gap_s else 1.0
                self.usual_gap_s += share * (gap_s - self.usual_gap_s)
        self.last_token_mono = mono
        self.text += delta.text
        self.token_ids.extend(delta.token_ids)
        self.token_count += len(delta.token_ids) or (1 if delta.text else 0)
        if delta.probs and self.spec.keep_probs and (self.part is None or self.part.keep_probs):
            self.probs.extend(delta.probs)
        made = self.token_count - self.part_from_count
        since_first = mono - self.first_token_mono
        if made > 1 and since_first > 0:
            self.tok_per_s = (made - 1) / since_first
        self.version += 1

    def close_part(self, reason: FinishReason, finished: Finished | None, now: float, mono: float) -> None:
        """Write the record of the part being written, if one was begun."""
        part, self.part = self.part, None
        if finished is not None and "n_probs" in finished.unsupported:
            self.probs.clear()  # the probabilities of some tokens only would draw half a heat map
            self.emitted_probs = 0
        if part is None:
            return
        new_ids = len(self.token_ids) - self.part_from_token
        complete = new_ids > 0 or len(self.text) == self.part_from_char
        if finished is not None:
            usage, timings = finished.usage, finished.timings
            # the closing token may or may not be among the ids
            complete = complete and abs(usage.completion_tokens - new_ids) <= 1
            self.prompt_tokens, self.cached_tokens = usage.prompt_tokens, usage.cached_tokens
            self.tok_per_s = timings.tok_per_s or self.tok_per_s
            self.ttft_s = timings.ttft_s if timings.ttft_s is not None and not self.parts else self.ttft_s
            self.token_count = self.tokens_of_parts + usage.completion_tokens
        else:
            made = new_ids or self.token_count - self.tokens_of_parts
            usage = Usage(self.prompt_tokens or 0, max(0, made), self.cached_tokens or 0)
            timings = self._own_timings(mono)
        if not complete and self.token_ids:
            self.token_ids = self.token_ids[: self.part_from_token]
        record = part_record(
            part,
            reason,
            finished,
            usage=usage,
            timings=timings,
            guard=self.guard[self.part_guard_from :],
            started_at=self.part_started_at,
            finished_at=now,
            chars=(self.part_from_char, len(self.text)),
            from_token=self.part_from_token,
            token_ids_complete=complete,
        )
        self.parts.append(record)

    def cut_tail(self) -> None:
        """Take off what the guard judged not worth keeping; it stays in the provenance."""
        stop = next(event for event in reversed(self.guard) if event.level == "stop")
        cut = stop.data.get("cut_at_char")
        if not isinstance(cut, int) or not 0 <= cut < len(self.text):
            return
        removed = self.text[cut:]
        self.text = self.text[:cut] + str(stop.data.get("cut_suffix", ""))
        self.parts[-1] = replace(
            self.parts[-1], removed_tail=removed, token_ids_complete=False, to_char=len(self.text)
        )
        # ids of the kept text are not known to the token; continuing goes by the text
        self.token_ids = []
        self.probs = probs_in(self.probs, self.text)
        self.emitted_chars = min(self.emitted_chars, cut)
        self.emitted_probs = min(self.emitted_probs, len(self.probs))

    def view(self, mono: float) -> JobView:
        """Return how the job stands."""
        stalled_s = 0.0
        standing = self.state == "running" and not self.ending and self.tells_stalls
        if standing and self.last_token_mono is not None:
            gap_s = mono - self.last_token_mono
            stalled_s = gap_s if gap_s >= self.stall_limit_s else 0.0
        return JobView(
            id=self.id,
            topic=self.spec.topic,
            message_id=self.message_id,
            state=self.state,
            phase=self.phase,
            progress=self.progress,
            text=self.text,
            token_count=self.token_count,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            queued_at=self.queued_at,
            started_at=self.started_at,
            ttft_s=self.ttft_s,
            tok_per_s=self.tok_per_s,
            stalled_s=stalled_s,
            finish_reason=self.finish_reason,
            error=self.error,
            guard=tuple(self.guard),
            unsaved=self.journal_error is not None,
            version=self.version,
            tells_stalls=self.tells_stalls,
            decay=self.decay,
        )

    def outcome(self, mono: float) -> Outcome:
        """Return what the job has come to."""
        return Outcome(
            view=self.view(mono),
            message=self.message,
            parts=tuple(self.parts),
            text=self.text,
            token_ids=tuple(self.token_ids) if self.ids_usable else (),
            probs=tuple(self.probs),
        )

    def answer(
        self, reason: FinishReason, error: Mapping[str, object] | None, report: Mapping[str, object] | None
    ) -> None:
        """Put everything into the message as it is to be stored at the end."""
        if self.message is None:
            return
        provenance = merge_parts(self.message.provenance, self.parts)
        if report is not None:
            provenance = replace(provenance, guard_report=report)
        self.message = replace(
            self.message,
            content=self.text,
            token_ids=tuple(self.token_ids) if self.ids_usable else (),
            state=_message_state(end_state(reason)),
            finish_reason=reason,
            error=error,
            provenance=provenance,
        )

    def shown(self, stored: Message) -> Message:
        """Return the stored message as it really is: with the text that is known only here."""
        if self.message is None:
            return stored
        if not self.active:
            return replace(self.message, version=stored.version, versions=stored.versions)
        state: MessageState = "queued" if self.state == "queued" else "streaming"
        return replace(stored, content=self.text, state=state, finish_reason=None, error=None)

    def forget_bulk(self) -> None:
        """Let go of what an ended job no longer needs: all but how it stands and its text.

        The spec goes too: its watcher has large tables, and its closures hold whole conversations.
        """
        self.probs, self.token_ids, self.parts, self.decay = [], [], [], None
        self.watcher, self.engine, self.task, self.part = None, None, None, None
        if self.message is not None:
            self.message = replace(self.message, provenance=Provenance(), token_ids=())
        self.spec = JobSpec(self.spec.topic, _no_engine, _no_part, queue=self.spec.queue)

    def _own_timings(self, mono: float) -> Timings:
        """Timings of a part that the engine did not finish, by our own clock."""
        first = self.first_token_mono
        return Timings(
            ttft_s=None if first is None else first - self.part_started_mono,
            total_s=mono - self.part_started_mono,
            decode_s=None if first is None else mono - first,
            tok_per_s=self.tok_per_s,
        )


async def _no_engine() -> Engine:
    raise TwoKeysError(reason="ended")


async def _no_part(_engine: Engine) -> PlannedPart:
    raise TwoKeysError(reason="ended")


def end_state(reason: FinishReason) -> JobState:
    """Return the state of a job that ended for this reason."""
    if reason == "error":
        return "failed"
    if reason == "cancelled" or reason == "interrupted":
        return reason
    return "done"


def _message_state(state: JobState) -> MessageState:
    return state if state == "failed" or state == "interrupted" else "done"
