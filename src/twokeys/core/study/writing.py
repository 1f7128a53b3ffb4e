"""Writes one answer of a study on one engine: its question in all its parts, again when a chat came first.

Every answer is a background job in its engine's queue. What is stored, and which answer is next, is not known
here.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twokeys.core.context_check import NOTHING_YET, check_schema
from twokeys.core.guard import Guard
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.provenance import PlannedPart
from twokeys.core.study.answer import Completion, joined
from twokeys.core.study.cell import Cell, Setup
from twokeys.core.study.fleet import MemberProgress
from twokeys.core.study.recorder import Recorder
from twokeys.core.study.spread import EngineLost, Seat
from twokeys.core.study.study import Study
from twokeys.core.study.trial import Batch, Trial, question_of, sampling_of
from twokeys.engine import Engine
from twokeys.errors import EngineDied, EngineStartFailed, EngineUnreachable, Reason, TwoKeysError
from twokeys.types import ChatMessage, GenerationRequest, Sampling

if TYPE_CHECKING:
    from twokeys.core.study.exact_score import Scorer

log = logging.getLogger(__name__)

TOPIC = "study:"
QUIET_S = 2.0
POLL_S = 0.2
MAX_TRIES = 3
HEALTH_S = 10.0
"""How often an engine that writes for long is asked whether it is still there, where there are others."""

HEALTH_LIMIT_S = 5.0
UNHEALTHY = 3
"""So many times in a row it may not answer that; then it counts as lost."""

FINAL_ERRORS = frozenset(
    {"context_exceeded", "engine_refused", "bad_parameter", "bad_input", "empty_message", "not_supported"}
)
"""An answer that failed so fails again however often it is tried."""

LOST_ERRORS = frozenset({EngineDied.code, EngineUnreachable.code, EngineStartFailed.code})
"""An engine of several that failed so is lost; what it was writing goes to another."""

HOT_QUESTIONS = (
    "Write a wild surreal poem in which colours argue about time.",
    "Invent a festival nobody has ever heard of and describe its strangest custom.",
    "写一段天马行空的广告，主角是一把会做梦的雨伞。",
)
HOT = Sampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_new_tokens=64)
PROBE = "Tell me about a lighthouse in winter."
SEGMENT_TEXT = {
    "en": "{question}\n\nWrite only part {part} of {parts} now.{before}",
    "zh": "{question}\n\n现在只写第 {part} 部分（共 {parts} 部分）。{before}",
}
SEGMENT_BEFORE = {
    "en": " The part before ended: “…{tail}” Go on from there without repeating it.",
    "zh": "上一部分的结尾是：“……{tail}”请接着往下写，不要重复。",
}
TAIL_CHARS = 200


@dataclass(slots=True)
class StudyProgress:
    """How a run goes. seconds: of writing so far, without waiting for chats. jobs: being written now,
    by trial. engines: what answered, by setup, or by name where there are several. members: how each of
    them fares, by name. unsaved: why what is written cannot be stored just now,
    None while it can."""

    waiting: bool = False
    written: int = 0
    seconds: float = 0.0
    jobs: dict[str, Trial] = field(default_factory=dict)
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, MemberProgress] = field(default_factory=dict)
    to_write: int = 0
    unsaved: Mapping[str, Any] | None = None


class AnswerWriter:
    """Writes answers of one study. on_change: called when a chat comes first and when it is over.

    fleet: the engines are several, or servers that come and go: one that dies is lost, not tried again here.
    """

    def __init__(
        self,
        study_id: str,
        study: Study,
        jobs: JobManager,
        progress: StudyProgress,
        on_change: Callable[[], None],
        *,
        fleet: bool,
        quiet_s: float = QUIET_S,
        health_s: float = HEALTH_S,
    ) -> None:
        self.id = study_id
        self.study = study
        self.progress = progress
        self._jobs = jobs
        self._on_change = on_change
        self._fleet = fleet
        self._quiet_s = quiet_s
        self._health_s = health_s
        self._scorer: Scorer | None = None

    async def write(self, trial: Trial, seat: Seat) -> tuple[Completion, dict[str, object]]:
        """Write an answer with all its parts; again when a chat came first or the engine died."""
        tries = 0
        while True:
            await self.quiet(seat)
            started = time.monotonic()
            try:
                parts, facts = await self._write_parts(trial, seat)
            except _GivenUp:
                self.progress.waiting = True
                self._on_change()
                if not self.study.cells[trial.cell].setup.usual:
                    await seat.member.pool.release()
                continue
            except TrialRefused as refused:
                if self._fleet and refused.error["code"] in LOST_ERRORS:
                    raise EngineLost(refused.error) from refused
                tries += 1
                if refused.error["code"] in FINAL_ERRORS or tries >= MAX_TRIES:
                    raise
                log.info("an answer of study %s failed and is tried again: %s", self.id, refused.error)
                await asyncio.sleep(0.5 * tries)
                continue
            spent = time.monotonic() - started
            self.progress.seconds += spent
            self.progress.members[seat.member.name].seconds += spent
            return joined(parts), facts

    async def score(self, batch: Batch, seat: Seat) -> dict[str, dict[str, Any]]:
        """Score a question of an exact study; again when the engine died. A chat comes first before each
        request."""
        from twokeys.core.study.exact_run import score_batch, scorer_of

        if self._scorer is None:
            self._scorer = scorer_of(self.study)
        setup = self.study.cells[batch.written.cell].setup
        tries = 0
        while True:
            await self.quiet(seat)
            started = time.monotonic()
            try:
                engine = await seat.member.pool.engine(setup, self.study.slots)
                rows = await score_batch(
                    self.study, batch, engine, self._scorer, seat.slot, lambda: self.quiet(seat)
                )
            except TwoKeysError as error:
                if self._fleet and error.code in LOST_ERRORS:
                    raise EngineLost(error.stored()) from error
                tries += 1
                if error.code in FINAL_ERRORS or tries >= MAX_TRIES:
                    raise TrialRefused(error.stored()) from error
                await asyncio.sleep(0.5 * tries)
                continue
            spent = time.monotonic() - started
            self.progress.seconds += spent
            self.progress.members[seat.member.name].seconds += spent
            return rows

    async def probe(self, seat: Seat) -> str:
        """Return a hash of a short text at a fixed seed: engines that write the same agree in it."""
        recorder = Recorder(None)
        try:
            spec = self._spec(
                Cell("probe"), PROBE, replace(HOT, seed=1, max_new_tokens=24), seat, recorder, 0
            )
            text = (await self._finish(spec, None, seat)).text
        except (_GivenUp, TrialRefused):
            return ""
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    async def _write_parts(self, trial: Trial, seat: Seat) -> tuple[list[Completion], dict[str, object]]:
        cell, prompt = self.study.cells[trial.cell], self.study.prompts[trial.prompt]
        sampling = sampling_of(self.study, trial)
        await self._before(cell, seat)
        question = question_of(prompt, cell)
        if cell.segments == 1:
            written, facts = await self._ask(trial, question, sampling, seat)
            return [written], facts
        each = replace(sampling, max_new_tokens=max(1, sampling.max_new_tokens // cell.segments))
        parts: list[Completion] = []
        facts = {}
        for number in range(cell.segments):
            before = ""
            if parts:
                tail = parts[-1].text[-TAIL_CHARS:]
                before = SEGMENT_BEFORE[prompt.language].format(tail=tail)
            text = SEGMENT_TEXT[prompt.language].format(
                question=question, part=number + 1, parts=cell.segments, before=before
            )
            seed = ((each.seed or 0) + number) % (2**32 - 2)
            written, facts = await self._ask(trial, text, replace(each, seed=seed), seat)
            parts.append(written)
        return parts, facts

    async def _before(self, cell: Cell, seat: Seat) -> None:
        """Bring the engine into the state that the cell wants to start from."""
        if cell.before == "fresh":
            await seat.member.pool.restart(cell.setup, self.study.slots)
        elif cell.before == "hot":
            for number, question in enumerate(HOT_QUESTIONS):
                spec = self._spec(cell, question, replace(HOT, seed=number + 1), seat, Recorder(None), 0)
                await self._finish(spec, None, seat)

    async def _ask(
        self, trial: Trial, question: str, sampling: Sampling, seat: Seat
    ) -> tuple[Completion, dict[str, Any]]:
        study, cell = self.study, self.study.cells[trial.cell]
        schema = study.prompts[trial.prompt].schema if cell.grammar else None
        guard = Guard({}, question, json_form=schema is not None) if study.guard != "off" else None
        recorder = Recorder(guard, may_stop=study.guard == "stop")
        n_probs = 0 if cell.setup.drafts else study.n_probs  # accepted drafts come without
        spec = self._spec(cell, question, sampling, seat, recorder, n_probs, schema)
        outcome = await self._finish(spec, trial, seat)
        memory = await asyncio.to_thread(seat.member.pool.memory_bytes)
        part = outcome.parts[-1]
        written = Completion(
            text=outcome.text,
            tokens=part.completion_tokens or 0,
            finish_reason=part.finish_reason or "stop",
            ttft_s=part.timings.ttft_s,
            total_s=part.timings.total_s,
            tok_per_s=part.timings.tok_per_s,
            memory_bytes=memory,
            probs=outcome.probs,
            token_times=tuple(recorder.token_times),
            events=tuple(recorder.events),
            drafted=part.engine.get("draft_tokens", 0),
            accepted=part.engine.get("draft_accepted", 0),
        )
        facts = {
            "order": part.order,
            "unsupported": list(part.unsupported),
            "prompt_tokens": part.prompt_tokens,
            "cached_tokens": part.cached_tokens,
        }
        return written, facts

    def _spec(
        self,
        cell: Cell,
        question: str,
        sampling: Sampling,
        seat: Seat,
        recorder: Recorder,
        n_probs: int,
        schema: Mapping[str, object] | None = None,
    ) -> JobSpec:
        messages: tuple[ChatMessage, ...] = (ChatMessage("user", question),)
        if cell.system_prompt:
            messages = (ChatMessage("system", cell.system_prompt), *messages)
        request = GenerationRequest(
            messages=messages,
            sampling=sampling,
            n_probs=n_probs,
            slot=seat.slot,
            ignore_eos=cell.ignore_eos,
            json_schema=schema,
        )

        async def prepare(engine: Engine) -> PlannedPart:
            info = await engine.info()
            if schema is not None:
                check_schema(info, NOTHING_YET)
            return PlannedPart(request, info)

        return JobSpec(
            topic=study_topic(self.id),
            engine=lambda: seat.member.pool.engine(cell.setup, self.study.slots),
            prepare=prepare,
            queue=seat.member.queue,
            background=True,
            watcher=recorder,
            keep_probs=n_probs > 0,
        )

    async def _finish(self, spec: JobSpec, trial: Trial | None, seat: Seat) -> Outcome:
        """Run a job to its end. Raises _GivenUp when a chat came first, TrialRefused when it failed."""
        try:
            job, ended = self._jobs.begin(spec)
        except TwoKeysError as error:
            # the app is closing
            raise asyncio.CancelledError from error
        if trial is not None:
            self.progress.jobs[job.id] = trial
        try:
            outcome = await self._while_there(asyncio.wrap_future(ended), job.id, seat)
        except asyncio.CancelledError:
            self._jobs.stop(job.id)
            raise
        finally:
            self.progress.jobs.pop(job.id, None)
        state = outcome.view.state
        if state in ("cancelled", "interrupted"):
            raise _GivenUp
        if state == "failed" or not outcome.parts:
            raise TrialRefused(outcome.view.error or {"code": "engine", "params": {}})
        return outcome

    async def _while_there(self, ended: asyncio.Future[Outcome], job_id: str, seat: Seat) -> Outcome:
        """Wait for a job's end. Raises EngineLost when its engine, one of several, answers no more."""
        missed = 0
        while self._fleet:
            done, _ = await asyncio.wait({ended}, timeout=self._health_s)
            if done:
                break
            missed = 0 if await self._healthy(seat) else missed + 1
            if missed == UNHEALTHY and not ended.done():
                self._jobs.stop(job_id)
                reason = Reason("lab.fleet.silent")
                raise EngineLost(EngineUnreachable(url=seat.member.name, reason=reason).stored())
        return await ended

    async def _healthy(self, seat: Seat) -> bool:
        engine = await seat.member.pool.engine(Setup(), self.study.slots)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEALTH_LIMIT_S):
                return await engine.healthy()
        return False

    async def quiet(self, seat: Seat) -> None:
        """Return when no chat waits for the engine; after one, once it has been quiet for a while."""
        if not seat.member.shared:
            return
        calm_s = 0.0
        while True:
            busy = any(view.active and not view.topic.startswith(TOPIC) for view in self._jobs.views())
            if not busy and (not self.progress.waiting or calm_s >= self._quiet_s):
                break
            if busy and not self.progress.waiting:
                self.progress.waiting = True
                self._on_change()
            calm_s = 0.0 if busy else calm_s + POLL_S
            await asyncio.sleep(POLL_S)
        if self.progress.waiting:
            self.progress.waiting = False
            self._on_change()


class _GivenUp(Exception):
    """A chat came first, or somebody released the engine."""


class TrialRefused(Exception):
    """An answer could not be written. error: {"code", "params"}."""

    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error["code"])
        self.error = dict(error)


def study_topic(study_id: str) -> str:
    """Return the topic under which a study's changes are told."""
    return f"{TOPIC}{study_id}"
