"""Runs one study: writes what is missing, one answer after the other, and stores each at once.

Every answer is a background job of the engine's lane, so a person's message always goes first: the
answer being written is given up and written again once the chat is quiet. An engine that dies is
started again; an answer that fails for good is stored as failed. Nothing that is stored is run again.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from twokeys.core.guard import Guard
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.provenance import Part
from twokeys.core.study.answer import Completion, beginning, curves, joined
from twokeys.core.study.cell import Cell, Setup
from twokeys.core.study.judge import LIMIT_S, Judge, Judgement
from twokeys.core.study.measure import measure_answer, measure_set
from twokeys.core.study.recorder import Recorder
from twokeys.core.study.rows import stored_values
from twokeys.core.study.study import Study
from twokeys.core.study.trial import Batch, Group, Trial, plan_groups, question_of, sampling_of
from twokeys.engine import Engine
from twokeys.errors import StoreFull, StoreLocked, TwoKeysError
from twokeys.types import ChatMessage, GenerationRequest, Sampling

log = logging.getLogger(__name__)

TOPIC = "study:"
QUIET_S = 2.0
POLL_S = 0.2
MAX_TRIES = 3
PATTERN_LIMIT_S = LIMIT_S
MAX_FAILED_IN_A_ROW = 5
STORE_RETRY_S = 2.0
STORE_PASSES = (StoreLocked, StoreFull)
"""What may be over in a moment: storing is tried again for as long as it takes."""
FINAL_ERRORS = frozenset(
    {"context_exceeded", "engine_refused", "bad_parameter", "bad_input", "empty_message"}
)
"""An answer that failed so fails again however often it is tried."""

HOT_QUESTIONS = (
    "Write a wild surreal poem in which colours argue about time.",
    "Invent a festival nobody has ever heard of and describe its strangest custom.",
    "写一段天马行空的广告，主角是一把会做梦的雨伞。",
)
HOT = Sampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_new_tokens=64)
SEGMENT_TEXT = {
    "en": "{question}\n\nWrite only part {part} of {parts} now.{before}",
    "zh": "{question}\n\n现在只写第 {part} 部分（共 {parts} 部分）。{before}",
}
SEGMENT_BEFORE = {
    "en": " The part before ended: “…{tail}” Go on from there without repeating it.",
    "zh": "上一部分的结尾是：“……{tail}”请接着往下写，不要重复。",
}
TAIL_CHARS = 200


class Rows(Protocol):
    """Where answers are stored."""

    def put_rows(self, document_id: str, rows: Mapping[str, Mapping[str, Any]]) -> int: ...

    def row_keys(self, document_id: str) -> set[str]: ...

    def row_values(self, document_id: str, prefix: str = "") -> list[Any]: ...


class EnginePool(Protocol):
    """Where engines come from; fulfilled by `lab_engines.LabEngines`."""

    async def engine(self, setup: Setup, slots: int | None) -> Engine: ...

    async def restart(self, setup: Setup, slots: int | None) -> Engine: ...

    async def release(self) -> None: ...

    def memory_bytes(self) -> int: ...

    def gpu_layers(self) -> int: ...


class StudyFailed(Exception):
    """The engine kept failing. error: {"code", "params"} of the last failure."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("code"))
        self.error = error


@dataclass(slots=True)
class Progress:
    """How a run goes. seconds: of writing so far, without waiting for chats. jobs: being written now,
    by trial. engines: what answered, by setup. unsaved: why what is written cannot be stored just now,
    None while it can."""

    waiting: bool = False
    written: int = 0
    seconds: float = 0.0
    jobs: dict[str, Trial] = field(default_factory=dict)
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    to_write: int = 0
    unsaved: Mapping[str, Any] | None = None


class StudyRun:
    """One run of a study, to be awaited on the job manager's loop. `pause` is cancelling the task.

    on_change: called on the loop after every stored answer and when a chat comes first.
    """

    def __init__(
        self,
        study_id: str,
        study: Study,
        *,
        rows: Rows,
        jobs: JobManager,
        pool: EnginePool,
        on_change: Callable[[], None] = lambda: None,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.id = study_id
        self.study = study
        self.progress = Progress()
        self._rows = rows
        self._jobs = jobs
        self._pool = pool
        self._on_change = on_change
        self._quiet_s = quiet_s
        self._failed_in_a_row = 0
        self._judge = Judge(PATTERN_LIMIT_S)

    async def run(self) -> None:
        """Write all that is missing. Raises StudyFailed when nothing works any more."""
        done = await asyncio.to_thread(self._rows.row_keys, self.id)
        groups = plan_groups(self.study, done)
        self.progress.to_write = sum(len(group.batches) for group in groups)
        by_setup: dict[Setup, deque[Group]] = defaultdict(deque)
        for group in groups:
            by_setup[group.setup].append(group)
        try:
            for setup, waiting in by_setup.items():
                await self._run_setup(setup, waiting)
            await self._close_sets(done)
        finally:
            await asyncio.to_thread(self._judge.close)
            await self._pool.release()

    async def _run_setup(self, setup: Setup, waiting: deque[Group]) -> None:
        slots = await self._open(setup)
        if slots == 1:
            await self._work(waiting, None)
            return
        self._jobs.set_slots(slots)
        workers = [asyncio.create_task(self._work(waiting, slot)) for slot in range(min(slots, len(waiting)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _open(self, setup: Setup) -> int:
        """Start the setup's engine and note what it is; return its slots."""
        for attempt in range(MAX_TRIES):
            await self._quiet()
            try:
                engine = await self._pool.engine(setup, self.study.slots)
                info = await engine.info()
            except TwoKeysError as error:
                if attempt == MAX_TRIES - 1:
                    raise StudyFailed(error.stored()) from error
                await asyncio.sleep(1.0 + attempt)
                continue
            self.progress.engines[setup_label(setup)] = {
                "kind": info.kind,
                "model": info.model,
                "sha256": info.model_sha256,
                "context": info.context,
                "slots": info.slots,
                "build": info.build,
                "gpu_layers": self._pool.gpu_layers(),
            }
            return min(info.slots, self.study.slots or info.slots)
        raise StudyFailed({"code": "engine", "params": {}})

    async def _work(self, waiting: deque[Group], slot: int | None) -> None:
        """Take groups until none is left. A group stays in one slot: its question is read once."""
        while waiting:
            group = waiting.popleft()
            for batch in group.batches:
                await self._run_batch(batch, slot)
            await self._close_prompt(group)

    # ---- one answer -------------------------------------------------------------------------

    async def _run_batch(self, batch: Batch, slot: int | None) -> None:
        trial = batch.written
        try:
            written, facts = await self._write(trial, slot)
        except _Refused as refused:
            failed: dict[str, Mapping[str, Any]] = {}
            for each in batch.trials:
                failed |= failed_rows(self.study, each, refused.error)
            await self._store(failed)
            self._failed_in_a_row += 1
            self.progress.written += 1
            self._on_change()
            if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW and refused.error["code"] not in FINAL_ERRORS:
                raise StudyFailed(refused.error) from refused
            return
        self._failed_in_a_row = 0
        self.progress.written += 1
        rows = await asyncio.to_thread(self._measured, batch, written, facts)
        await self._store(rows)
        self._on_change()

    async def _store(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Store rows, again and again while the database is locked or the disk full: none is thrown away."""
        while rows:
            try:
                await asyncio.to_thread(self._rows.put_rows, self.id, rows)
                break
            except STORE_PASSES as error:
                if self.progress.unsaved is None:
                    log.warning("answers of study %s cannot be stored now: %s", self.id, error)
                    self.progress.unsaved = error.stored()
                    self._on_change()
                await asyncio.sleep(STORE_RETRY_S)
        if self.progress.unsaved is not None:
            self.progress.unsaved = None
            self._on_change()

    def _measured(
        self, batch: Batch, written: Completion, facts: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for trial in batch.trials:
            limit = sampling_of(self.study, trial).max_new_tokens
            own = trial == batch.written
            cut = written if own or self.study.cells[trial.cell].segments > 1 else beginning(written, limit)
            prompt = self.study.prompts[trial.prompt]
            judged = self._judge.judge(prompt.checker, cut.text) if prompt.checker else Judgement(None)
            values = measure_answer(prompt, cut, judged.right, self.study.limit_s)
            rows[trial.key] = {
                "c": trial.cell,
                "p": trial.prompt,
                "s": trial.number,
                "v": stored_values(values),
            }
            if judged.problem is not None:
                rows[trial.key]["j"] = judged.problem
            text: dict[str, Any] = {
                "c": trial.cell,
                "p": trial.prompt,
                "s": trial.number,
                "text": cut.text,
                "finish": cut.finish_reason,
                "seed": sampling_of(self.study, trial).seed,
                "guard": [event.to_dict() for event in cut.events],
                "along": curves(cut),
            }
            rows[trial.text_key] = text | (dict(facts) if own else {"of": batch.written.key})
        return rows

    async def _write(self, trial: Trial, slot: int | None) -> tuple[Completion, dict[str, Any]]:
        """Write an answer with all its parts; again when a chat came first or the engine died."""
        tries = 0
        while True:
            await self._quiet()
            started = time.monotonic()
            try:
                parts, facts = await self._write_parts(trial, slot)
            except _GivenUp:
                self.progress.waiting = True
                self._on_change()
                if not self.study.cells[trial.cell].setup.usual:
                    await self._pool.release()
                continue
            except _Refused as refused:
                tries += 1
                if refused.error["code"] in FINAL_ERRORS or tries >= MAX_TRIES:
                    raise
                log.info("an answer of study %s failed and is tried again: %s", self.id, refused.error)
                await asyncio.sleep(0.5 * tries)
                continue
            self.progress.seconds += time.monotonic() - started
            return joined(parts), facts

    async def _write_parts(self, trial: Trial, slot: int | None) -> tuple[list[Completion], dict[str, Any]]:
        cell, prompt = self.study.cells[trial.cell], self.study.prompts[trial.prompt]
        sampling = sampling_of(self.study, trial)
        await self._before(cell, slot)
        question = question_of(prompt, cell)
        if cell.segments == 1:
            written, facts = await self._ask(trial, question, sampling, slot)
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
            written, facts = await self._ask(trial, text, replace(each, seed=seed), slot)
            parts.append(written)
        return parts, facts

    async def _before(self, cell: Cell, slot: int | None) -> None:
        """Bring the engine into the state that the cell wants to start from."""
        if cell.before == "fresh":
            await self._pool.restart(cell.setup, self.study.slots)
        elif cell.before == "hot":
            for number, question in enumerate(HOT_QUESTIONS):
                spec = self._spec(cell, question, replace(HOT, seed=number + 1), slot, Recorder(None), 0)
                await self._finish(spec, None)

    async def _ask(
        self, trial: Trial, question: str, sampling: Sampling, slot: int | None
    ) -> tuple[Completion, dict[str, Any]]:
        study, cell = self.study, self.study.cells[trial.cell]
        guard = Guard({}, question) if study.guard != "off" else None
        recorder = Recorder(guard, may_stop=study.guard == "stop")
        spec = self._spec(cell, question, sampling, slot, recorder, study.n_probs)
        outcome = await self._finish(spec, trial)
        memory = await asyncio.to_thread(self._pool.memory_bytes)
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
        slot: int | None,
        recorder: Recorder,
        n_probs: int,
    ) -> JobSpec:
        messages: tuple[ChatMessage, ...] = (ChatMessage("user", question),)
        if cell.system_prompt:
            messages = (ChatMessage("system", cell.system_prompt), *messages)
        request = GenerationRequest(
            messages=messages,
            sampling=sampling,
            n_probs=n_probs,
            slot=slot,
            ignore_eos=cell.ignore_eos,
        )

        async def prepare(engine: Engine) -> Part:
            return Part(request, await engine.info())

        return JobSpec(
            topic=study_topic(self.id),
            engine=lambda: self._pool.engine(cell.setup, self.study.slots),
            prepare=prepare,
            background=True,
            watcher=recorder,
            keep_probs=n_probs > 0,
        )

    async def _finish(self, spec: JobSpec, trial: Trial | None) -> Outcome:
        """Run a job to its end. Raises _GivenUp when a chat came first, _Refused when it failed."""
        try:
            job, ended = self._jobs.begin(spec)
        except TwoKeysError as error:
            # the app is closing
            raise asyncio.CancelledError from error
        if trial is not None:
            self.progress.jobs[job.id] = trial
        try:
            outcome = await asyncio.wrap_future(ended)
        except asyncio.CancelledError:
            self._jobs.stop(job.id)
            raise
        finally:
            self.progress.jobs.pop(job.id, None)
        state = outcome.view.state
        if state in ("cancelled", "interrupted"):
            raise _GivenUp
        if state == "failed" or not outcome.parts:
            raise _Refused(outcome.view.error or {"code": "engine", "params": {}})
        return outcome

    async def _quiet(self) -> None:
        """Return when no chat is being answered; after one, once it has been quiet for a while."""
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

    # ---- sets of answers --------------------------------------------------------------------

    async def _close_prompt(self, group: Group) -> None:
        """Measure the sets of answers that are complete now: each cell's answers to this prompt."""
        cells = sorted({trial.cell for batch in group.batches for trial in batch.trials})
        await self._store(
            await asyncio.to_thread(self._measure_sets, [(cell, group.prompt) for cell in cells])
        )

    async def _close_sets(self, done: set[str]) -> None:
        """Measure the sets that an earlier run completed without getting to measure them."""
        sets = [
            (cell, prompt)
            for cell in range(len(self.study.cells))
            for prompt in range(len(self.study.prompts))
            if f"s/{cell}/{prompt}" not in done
        ]
        await self._store(await asyncio.to_thread(self._measure_sets, sets))

    def _measure_sets(self, sets: list[tuple[int, int]]) -> dict[str, Mapping[str, Any]]:
        rows: dict[str, Mapping[str, Any]] = {}
        there = self._rows.row_keys(self.id) if len(sets) > 8 else set()
        for cell, prompt in sets:
            key = f"s/{cell}/{prompt}"
            if key in there:
                continue
            stored = self._rows.row_values(self.id, f"t/{cell}/{prompt}/")
            if len(stored) < self.study.seeds:
                continue
            texts = [row["text"] for row in stored if row.get("error") is None]
            rows[key] = {"c": cell, "p": prompt, "v": stored_values(measure_set(texts))}
        return rows


class _GivenUp(Exception):
    """A chat came first, or somebody released the engine."""


class _Refused(Exception):
    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["code"])
        self.error = dict(error)


def study_topic(study_id: str) -> str:
    """Return the topic under which a study's changes are told."""
    return f"{TOPIC}{study_id}"


def setup_label(setup: Setup) -> str:
    """Return a key for a setup: "" for the chat's own engine."""
    return ", ".join(f"{name}={value}" for name, value in setup.to_dict().items())


def failed_rows(study: Study, trial: Trial, error: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the rows of an answer that could not be written."""
    place = {"c": trial.cell, "p": trial.prompt, "s": trial.number}
    seed = sampling_of(study, trial).seed
    text: dict[str, Any] = {"text": "", "finish": "error", "seed": seed, "guard": [], "along": {}}
    text["error"] = dict(error)
    values = {"v": {}, "e": error["code"]}
    return {trial.key: place | values, trial.text_key: place | text}
