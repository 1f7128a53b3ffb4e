"""Runs one study: writes what is missing, and stores each answer at once.

On the chat's own engine one answer comes after the other, a person's message always first. On several
engines each prompt's answers stay on one of them (spread.py). An engine that dies is started again, or others
do its work; an answer that fails for good is stored as failed. Nothing that is stored is run again, but for
a block that another engine had begun.
"""

import asyncio
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from twokeys.core.jobs import ENGINE_QUEUE, JobManager
from twokeys.core.study.answer import Completion, beginning, curves
from twokeys.core.study.cell import Setup
from twokeys.core.study.fleet import (
    EnginePool,
    Member,
    MemberProgress,
    asked_of_engines,
    check_engine,
    check_setups,
    engine_facts,
    same_engine,
)
from twokeys.core.study.judge import LIMIT_S, Judge, PatternResult
from twokeys.core.study.measure import measure_answer, measure_set
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.rows import stored_values
from twokeys.core.study.spread import GIVE_UP_S, EngineLost, Refused, Seat, Spread
from twokeys.core.study.study import Study
from twokeys.core.study.trial import Batch, Group, Trial, plan_groups, sampling_of
from twokeys.core.study.writing import (
    FINAL_ERRORS,
    HEALTH_S,
    MAX_TRIES,
    QUIET_S,
    AnswerWriter,
    StudyProgress,
    TrialRefused,
)
from twokeys.engine import Engine
from twokeys.errors import BadInput, EngineUnreachable, Reason, StoreFull, StoreLocked, TwoKeysError
from twokeys.types import CUT_REASONS, EngineInfo

log = logging.getLogger(__name__)

PATTERN_LIMIT_S = LIMIT_S
MAX_FAILED_IN_A_ROW = 5
LOOK_S = 5.0
STORE_RETRY_S = 2.0
STORE_PASSES = (StoreLocked, StoreFull)
"""What may be over in a moment: storing is tried again for as long as it takes."""


class Rows(Protocol):
    """Where answers are stored."""

    def put_rows(self, document_id: str, rows: Mapping[str, Mapping[str, object]]) -> int: ...

    def row_keys(self, document_id: str) -> set[str]: ...

    def row_values(self, document_id: str, prefix: str = "") -> list[Any]: ...

    def drop_rows(self, document_id: str, keys: Collection[str]) -> None: ...


MIXED = "\0several"


class StudyFailed(Exception):
    """The engine kept failing. error: {"code", "params"} of the last failure."""

    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error.get("code"))
        self.error = error


class StudyRun:
    """One run of a study, to be awaited on the job manager's loop. `pause` is cancelling the task.

    pool: gives the chat's engine or one in its place. members: several engines instead. known: what
    engines of earlier runs were, by name. on_change: called on the loop after every stored answer and when
    a chat comes first; on_engine: in a thread, with what is known of the engines, when one is new.
    """

    def __init__(
        self,
        study_id: str,
        study: Study,
        *,
        rows: Rows,
        jobs: JobManager,
        pool: EnginePool,
        members: Sequence[Member] = (),
        known: Mapping[str, Mapping[str, object]] | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_engine: Callable[[Mapping[str, Mapping[str, Any]]], None] = lambda _engines: None,
        quiet_s: float = QUIET_S,
        health_s: float = HEALTH_S,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self.id = study_id
        self.study = study
        self.progress = StudyProgress()
        self._rows = rows
        self._jobs = jobs
        self._fleet = tuple(members)
        self._own = Member("", pool, ENGINE_QUEUE, shared=True)
        self._known = {name: dict(facts) for name, facts in (known or {}).items()}
        self._on_change = on_change
        self._on_engine = on_engine
        self._give_up_s = give_up_s
        self._failed_in_a_row = 0
        self._done: set[str] = set()
        self._homes: dict[int, str] = {}
        self._judge = Judge(PATTERN_LIMIT_S)
        for member in self._fleet or (self._own,):
            self.progress.members[member.name] = MemberProgress(member.name)
        self._writer = AnswerWriter(
            study_id, study, jobs, self.progress, on_change,
            fleet=bool(self._fleet), quiet_s=quiet_s, health_s=health_s,
        )  # fmt: skip

    async def run(self) -> None:
        """Write all that is missing. Raises StudyFailed when nothing works any more."""
        self._done = await asyncio.to_thread(self._rows.row_keys, self.id)
        self._homes = await asyncio.to_thread(self._stored_homes)
        done = set(self._done)
        groups = [group for group in plan_groups(self.study) if self._left(group)]
        self.progress.to_write = sum(len(self._left(group)) for group in groups)
        try:
            if self._fleet:
                await self._run_fleet(groups)
            else:
                await self._run_alone(groups)
            if self.study.kind == "sampled":
                await self._close_sets(done)
        finally:
            await asyncio.to_thread(self._judge.close)
            await asyncio.gather(*(member.pool.release() for member in self._fleet or (self._own,)))

    # ---- the chat's engine --------------------------------------------------------------------

    async def _run_alone(self, groups: Sequence[Group]) -> None:
        by_setup: dict[Setup, deque[Group]] = defaultdict(deque)
        for group in groups:
            by_setup[group.setup].append(group)
        for setup, waiting in by_setup.items():
            slots = await self._open(setup)
            if slots == 1:
                await self._work(waiting, Seat(self._own))
                continue
            self._jobs.set_slots(slots)
            seats = (Seat(self._own, slot) for slot in range(min(slots, len(waiting))))
            workers = [asyncio.create_task(self._work(waiting, seat)) for seat in seats]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _open(self, setup: Setup) -> int:
        """Start the setup's engine and note what it is; return its slots."""
        pool = self._own.pool
        for attempt in range(MAX_TRIES):
            await self._writer.quiet(Seat(self._own))
            try:
                info = await (await pool.engine(setup, self.study.slots)).info()
                facts = engine_facts(info, pool.gpu_layers())
                check_engine(info.model, facts, self.study.engine)
            except TwoKeysError as error:
                if attempt == MAX_TRIES - 1 or isinstance(error, BadInput):
                    raise StudyFailed(error.stored()) from error
                await asyncio.sleep(1.0 + attempt)
                continue
            self.progress.engines[setup_label(setup)] = facts
            return min(info.slots, self.study.slots or info.slots)
        raise StudyFailed({"code": "engine", "params": {}})

    async def _work(self, waiting: deque[Group], seat: Seat) -> None:
        """Take groups until none is left. A group stays in one slot: its question is read once."""
        while waiting:
            await self.write_block(waiting.popleft(), seat)

    # ---- several engines ----------------------------------------------------------------------

    async def _run_fleet(self, groups: Sequence[Group]) -> None:
        """Give every block to one engine. Raises StudyFailed when one that was asked for may not write."""
        try:
            check_setups(self.study)
            await self._first_look()
            spread = Spread(
                self, self._fleet, groups,
                seed=self.study.base_seed, progress=self.progress.members, give_up_s=self._give_up_s,
            )  # fmt: skip
            await spread.run()
        except (EngineLost, Refused) as failure:
            raise StudyFailed(failure.error) from failure
        except BadInput as failure:
            raise StudyFailed(failure.stored()) from failure

    async def _first_look(self) -> None:
        """Ask the engines what they are before anything is written: the first that answers sets the model.

        Those that take longer than the first and LOOK_S are looked at when they come.
        """
        asked = {asyncio.create_task(self._info(member)): member for member in self._fleet}
        try:
            late = set(asked)
            while late:
                ended, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
                if late and any(task.exception() is None for task in ended):
                    await asyncio.wait(late, timeout=LOOK_S)
                    break
            for task, member in asked.items():
                if task.done() and task.exception() is None:
                    self._admit(member, task.result())
                elif task.done() and not isinstance(task.exception(), TwoKeysError):
                    task.result()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _info(self, member: Member) -> EngineInfo:
        engine: Engine = await member.pool.engine(Setup(), self.study.slots)
        try:
            async with asyncio.timeout(member.open_s):
                return await engine.info()
        except TimeoutError as error:
            raise EngineUnreachable(url=member.name, reason=Reason("lab.fleet.silent")) from error

    def _admit(self, member: Member, info: EngineInfo) -> str:
        """Note what an engine is and return its name among the engines. Raises Refused."""
        facts = engine_facts(info, member.pool.gpu_layers())
        others = {**self._known, **self.progress.engines}
        try:
            check_engine(member.name, facts, asked_of_engines(self.study, list(others.values())))
        except BadInput as error:
            raise Refused(error.stored()) from error
        names = (member.name if n == 1 else f"{member.name} ({n})" for n in itertools.count(1))
        label = next(name for name in names if name not in others or same_engine(others[name], facts))
        seen = others.get(label, {})
        self.progress.engines[label] = facts | {"probe": seen.get("probe", "")}
        return label

    async def open_member(self, member: Member) -> MemberProgress:
        """See spread.Work."""
        progress = self.progress.members[member.name]
        info = await self._info(member)
        label = self._admit(member, info)
        progress.label, progress.slots = label, min(info.slots, self.study.slots or info.slots)
        facts = self.progress.engines[label]
        if len(self._fleet) > 1 and not facts["probe"]:
            facts["probe"] = await self._writer.probe(Seat(member))
        await asyncio.to_thread(self._on_engine, dict(self.progress.engines))
        self._jobs.set_slots(progress.slots, member.queue)
        self._on_change()
        return progress

    def home_of(self, group: Group) -> str | None:
        """See spread.Work."""
        return self._homes.get(group.prompt)

    async def write_block(self, group: Group, seat: Seat) -> None:
        """Write what is missing of a block; all of it where another engine has begun it."""
        if self._homes.get(group.prompt, seat.label) != seat.label:
            await self._forget(group)
        self._homes[group.prompt] = seat.label
        for batch in self._left(group):
            await self._run_batch(batch, seat)
        await self._close_prompt(group)

    def _left(self, group: Group) -> list[Batch]:
        """Return what is missing of a group."""
        left = (Batch(tuple(t for t in batch.trials if t.key not in self._done)) for batch in group.batches)
        return [batch for batch in left if batch.trials]

    async def _forget(self, group: Group) -> None:
        """Drop the rows of a block that another engine had begun."""
        trials = [trial for batch in group.batches for trial in batch.trials]
        sets = {f"s/{trial.cell}/{trial.prompt}" for trial in trials}
        keys = {key for trial in trials for key in (trial.key, trial.text_key)} | sets
        await asyncio.to_thread(self._rows.drop_rows, self.id, keys)
        self.progress.to_write += len(group.batches) - len(self._left(group))
        self._done -= keys

    def _stored_homes(self) -> dict[int, str]:
        """Return which engine has begun each prompt; MIXED for one that several have."""
        homes: dict[int, str] = {}
        for row in self._rows.row_values(self.id, "a/"):
            home = row.get("m", "")
            homes[row["p"]] = home if homes.get(row["p"], home) == home else MIXED
        return homes

    # ---- one answer -------------------------------------------------------------------------

    async def _run_batch(self, batch: Batch, seat: Seat) -> None:
        member = self.progress.members[seat.member.name]
        try:
            rows = await self._rows_of(batch, seat)
        except TrialRefused as refused:
            failed: dict[str, dict[str, Any]] = {}
            for each in batch.trials:
                failed |= failed_rows(self.study, each, refused.error)
            await self._store_answers(failed, seat)
            self._failed_in_a_row += 1
            self.progress.written += 1
            self._on_change()
            if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW and refused.error["code"] not in FINAL_ERRORS:
                raise StudyFailed(refused.error) from refused
            return
        self._failed_in_a_row = 0
        self.progress.written += 1
        await self._store_answers(rows, seat)
        member.rows += len(batch.trials)
        member.error, member.lost_s = None, 0.0
        self._on_change()

    async def _rows_of(self, batch: Batch, seat: Seat) -> dict[str, dict[str, Any]]:
        """Have a batch written, or scored in an exact study. Raises TrialRefused or EngineLost."""
        if self.study.kind == "exact":
            return await self._writer.score(batch, seat)
        written, facts = await self._writer.write(batch.written, seat)
        return await asyncio.to_thread(self._measured, batch, written, facts)

    async def _store_answers(self, rows: dict[str, dict[str, Any]], seat: Seat) -> None:
        """Store answers with the engine that wrote them, where there are several."""
        if seat.label:
            for row in rows.values():
                row["m"] = seat.label
        await self._store(rows)
        self._done |= rows.keys()

    async def _store(self, rows: Mapping[str, Mapping[str, object]]) -> None:
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
        self, batch: Batch, written: Completion, facts: Mapping[str, object]
    ) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for trial in batch.trials:
            limit = sampling_of(self.study, trial).max_new_tokens
            own = trial == batch.written
            cut = written if own or self.study.cells[trial.cell].segments > 1 else beginning(written, limit)
            prompt = self.study.prompts[trial.prompt]
            judged = self._judge.judge(prompt.checker, cut.text) if prompt.checker else PatternResult(None)
            valid = self._has_form(prompt, cut)
            values = measure_answer(prompt, cut, judged.right, self.study.limit_s, valid=valid)
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

    def _has_form(self, prompt: StudyPrompt, completion: Completion) -> bool | None:
        """Return whether an answer has its prompt's form; one that was cut never has."""
        if prompt.schema is None:
            return None
        if completion.finish_reason in CUT_REASONS:
            return False
        return self._judge.has_form(prompt.schema, completion.text).right

    # ---- sets of answers --------------------------------------------------------------------

    async def _close_prompt(self, group: Group) -> None:
        """Measure the sets of answers that are complete now: each cell's answers to this prompt."""
        if self.study.kind == "exact":
            return
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


def setup_label(setup: Setup) -> str:
    """Return a key for a setup: "" for the chat's own engine."""
    return ", ".join(f"{name}={value}" for name, value in setup.to_dict().items())


def failed_rows(study: Study, trial: Trial, error: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the rows of an answer that could not be written."""
    place = {"c": trial.cell, "p": trial.prompt, "s": trial.number}
    seed = sampling_of(study, trial).seed
    text: dict[str, Any] = {"text": "", "finish": "error", "seed": seed, "guard": [], "along": {}}
    text["error"] = dict(error)
    values = {"v": {}, "e": error["code"]}
    return {trial.key: place | values, trial.text_key: place | text}
