"""The lab: everything a screen or a command asks of studies. `services.lab` is one of these.

All methods are synchronous and may be called from any thread. Studies live in the store; a running
one is a coroutine on the job manager's loop. The analysis loads numpy, so it is imported where it is
asked and not by every start. Every change is told on the topic `study_topic(id)` as
{"type": "changed"}. One study runs at a time; those started meanwhile wait their turn.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from twokeys.core.jobs import JobManager
from twokeys.core.ports import DocumentStore
from twokeys.core.study.blind_reading import STUDY as READING_STUDY
from twokeys.core.study.blind_reading import BlindReadings
from twokeys.core.study.claims import ClaimResult
from twokeys.core.study.estimate import Power, StudyPlan, plan_study
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.fleet import EnginePool, Fleet, FleetSpec, MemberView, NodePlan
from twokeys.core.study.forms import FormFinding
from twokeys.core.study.measured import Measured, best, load_measured, measured_in
from twokeys.core.study.papers import PAPERS, PaperResult
from twokeys.core.study.prompt import PromptSet, shipped_sets
from twokeys.core.study.result import StudyResult
from twokeys.core.study.rows import ANSWER_ORDER, SET_ORDER, named_rows, text_rows
from twokeys.core.study.runner import (
    STORE_PASSES,
    STORE_RETRY_S,
    Rows,
    StudyFailed,
    StudyRun,
)
from twokeys.core.study.study import Study, first_look, shipped_studies
from twokeys.core.study.writing import study_topic
from twokeys.core.undertaking import Lock, LoopTask, Undertakings
from twokeys.errors import NotFound, TwoKeysError, unexpected
from twokeys.types import EngineSpeed, StoredDocument

__all__ = ["Answer", "Lab", "Power", "StudyPlan", "StudyState", "StudyView", "study_topic"]

log = logging.getLogger(__name__)

KIND = "study"
PART_KIND = "study-part"
"""Studies that are steps of a tuning: not in the list."""

StudyState = Literal["new", "running", "waiting", "paused", "done", "failed"]


class StudyStore(DocumentStore, Rows, Protocol):
    """Where studies are stored: the repository's documents."""

    def count_rows(self, document_id: str, prefix: str = "") -> int: ...


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as it is now. Times of day in Unix seconds.

    state: "new" was never started; "waiting" runs, but a chat or another study comes first just
    now, or (with an error) what is written cannot be stored at the moment and is tried again;
    "paused" was stopped by a person or by the end of the app, and `start` goes on; "failed":
    the engine kept failing, and `start` tries again. done / total: answers. left_s: seconds left,
    None while not known. now: {"cell", "prompt", "text"} of the answer being written, empty
    otherwise. engines: what answered, by setup. error: {"code", "params"} of a failed study, or of
    storing. elsewhere: another process of this home runs it. fleet: how each of several engines
    fares in a run of this process. asked: the engines of its last run, empty for the chat's.
    """

    id: str
    study: Study
    state: StudyState
    created_at: float
    updated_at: float
    done: int
    total: int
    left_s: float | None
    now: Mapping[str, str]
    model: str
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    elsewhere: bool = False
    fleet: tuple[MemberView, ...] = ()
    asked: FleetSpec = field(default_factory=FleetSpec)


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer of a study. values: its measures, without those that do not apply; seed: the
    engine's; shared: it was taken from a longer answer; problem: why its checker could not judge
    it, "checker_timeout" or "checker_failed"; error: {"code", "params"} when it failed; engine: the name of
    the one that wrote it, "" where there is one engine."""

    cell: str
    prompt: str
    number: int
    seed: int
    text: str
    finish_reason: str
    values: Mapping[str, float]
    guard: tuple[Mapping[str, Any], ...] = ()
    shared: bool = False
    problem: str | None = None
    error: Mapping[str, Any] | None = None
    engine: str = ""


class _StudyWork:
    """A study that runs in this process: an `Undertaking`. body: runs it to its end, on the loop."""

    def __init__(
        self,
        run: StudyRun,
        task: LoopTask,
        body: Callable[["_StudyWork"], Coroutine[Any, Any, None]],
        fleet: Fleet | None = None,
    ) -> None:
        self.run = run
        self.fleet = fleet
        self.began = False
        self.closing = False
        self._task = task
        self._body = body

    def begin(self, ended: Callable[[], None]) -> None:
        """See Undertaking.begin."""
        self._task.begin(lambda: self._body(self), ended)

    def stop(self, *, closing: bool = False) -> None:
        """Give up the answer being written."""
        self.closing = self.closing or closing
        self._task.cancel()


class Lab:
    """The studies of one home.

    pool: gives engines. make_fleet: opens several of them. speed: how fast a model has been here. model: name
    of what answers now. make_lock: returns the lock between processes of a name.
    """

    def __init__(
        self,
        store: StudyStore,
        jobs: JobManager,
        pool: EnginePool,
        *,
        make_lock: Callable[[str], Lock],
        speed: Callable[[str], EngineSpeed | None],
        model: Callable[[], str | None],
        make_fleet: Callable[[FleetSpec], Fleet] | None = None,
    ) -> None:
        self._store = store
        self._make_fleet = make_fleet
        self._jobs = jobs
        self._pool = pool
        self._speed = speed
        self._model = model
        self._results: dict[str, tuple[tuple[int, ...], StudyResult]] = {}
        self.readings = BlindReadings(store, self._newest_reading)
        self._measured: dict[tuple[str, float], tuple[Measured, ...]] = {}
        self._turn: asyncio.Lock | None = None
        self._works: Undertakings[_StudyWork] = Undertakings(
            "study", make_lock, elsewhere="lab.elsewhere", on_ended=lambda study_id, _: self._tell(study_id)
        )

    # ---- what can be studied ----------------------------------------------------------------

    def prompt_sets(self) -> tuple[PromptSet, ...]:
        """Return the shipped prompt sets."""
        return shipped_sets()

    def shipped(self, language: str = "zh") -> Mapping[str, Study]:
        """Return the studies that come with the product, by name, first looks in "zh" or "en"."""
        return {name: first_look(study, language) for name, study in shipped_studies().items()}

    def plan(self, study: Study, model: str | None = None) -> StudyPlan:
        """Return what starting would mean, at the speeds the models have had here."""
        name = model or self._model()
        named = {cell.setup.model for cell in study.cells if cell.setup.model}
        of_models = {model_name: self._speed(model_name) for model_name in named}
        return plan_study(study, self._speed(name) if name else None, of_models)

    def node_plans(self, on: FleetSpec) -> Sequence[NodePlan]:
        """Return what a start would mean on each worker's node; empty where there are no nodes to ask.

        Blocks until the cluster's workers have answered. Raises BadInput or EngineError.
        """
        if on.ray is None or self._make_fleet is None:
            return ()
        fleet = self._make_fleet(on)

        async def ask() -> Sequence[NodePlan]:
            try:
                return await fleet.plan()
            finally:
                await fleet.close()

        return self._jobs.loop.run(ask())

    # ---- studies ----------------------------------------------------------------------------

    def create(self, study: Study, *, part: bool = False) -> StudyView:
        """Store a study; `start` runs it. part: it is a step of a tuning and stays out of the list."""
        data = {
            "study": study.to_dict(),
            "state": "new",
        }
        return self.view(self._store.create(PART_KIND if part else KIND, study.title or study.name, data).id)

    def find(self, study: Study, model: str | None = None, *, on_fleet: bool = False) -> StudyView | None:
        """Return the stored run of exactly this study (on this model): a finished one, else the newest.

        on_fleet: one that ran on several engines, whatever their model.
        """
        newest: StudyView | None = None
        for document in self._store.of_kind(KIND, limit=500):
            if _fingerprint(document) != study.fingerprint:
                continue
            view = self._view(document)
            if on_fleet and not document.data.get("fleet"):
                continue
            if on_fleet or model is None or view.model in ("", model):
                if view.state == "done":
                    return view
                newest = newest or view
        return newest

    def start(self, study_id: str, on: FleetSpec | None = None) -> StudyView:
        """Run a study, or go on where it was. Does nothing when it runs here already.

        on: the engines that write; None for those of its last run, which at first is the chat's.

        Raises NotFound, BadInput when another process of this home runs it, and StoreError when its start
        cannot be stored: then it is as it was.
        """
        document = self._document(study_id)
        if self._complete(document):
            return self._view(document)
        if self._works.start(study_id, lambda: self._prepare(document, on)):
            self._tell(study_id)
        return self.view(study_id)

    def pause(self, study_id: str, wait_s: float = 10.0) -> StudyView:
        """Stop after giving up the answer being written. Does nothing when it does not run here."""
        self._works.stop(study_id, wait_s)
        return self.view(study_id)

    def wait(self, study_id: str, timeout_s: float | None = None) -> StudyView:
        """Return the study once its run here has ended, or the time is over."""
        self._works.wait(study_id, timeout_s)
        return self.view(study_id)

    def view(self, study_id: str) -> StudyView:
        """Return a study as it is now. Raises NotFound."""
        return self._view(self._document(study_id))

    def list(self, limit: int = 50) -> Sequence[StudyView]:
        """Return the studies, the latest first."""
        return [self._view(document) for document in self._store.of_kind(KIND, limit)]

    def delete(self, study_id: str) -> str:
        """Pause a study and move it to the bin; return a token for `repository.undo`. Raises NotFound."""
        self.pause(study_id)
        return self._store.delete(study_id)

    # ---- what it says -----------------------------------------------------------------------

    def result(self, study_id: str, *, along: bool = True) -> StudyResult:
        """Return the results of what is there so far; kept until a row is added. Raises NotFound.

        along False leaves the curves along the answers out, which need every text's row.
        """
        from twokeys.core.study.analysis import analyse

        document = self._document(study_id)
        mark = (self._store.count_rows(study_id, "a/"), self._store.count_rows(study_id, "s/"), int(along))
        cached = self._results.get(study_id)
        if cached is not None and cached[0] == mark:
            return cached[1]
        engines = document.data.get("engines", {})
        first = _first_engine(engines)
        result = analyse(
            study_id,
            Study.from_dict(document.data["study"]),
            self._answer_rows(document),
            self._set_rows(document),
            text_rows(self._store.row_values(study_id, "t/")) if along else (),
            model=first.get("model") or document.data.get("model", ""),
            engine=first,
            engines=engines,
        )
        if len(self._results) > 8:
            self._results.clear()
        self._results[study_id] = (mark, result)
        return result

    def answers(self, study_id: str, cell: str, prompt: str | None = None) -> Sequence[Answer]:
        """Return a cell's answers (to one prompt) with their measures. Raises NotFound."""
        document = self._document(study_id)
        study = Study.from_dict(document.data["study"])
        cells = [known_cell.name for known_cell in study.cells]
        prompts = [known_prompt.id for known_prompt in study.prompts]
        if cell not in cells or (prompt is not None and prompt not in prompts):
            raise NotFound(kind="cell", name=cell)
        place = f"{cells.index(cell)}/" + (f"{prompts.index(prompt)}/" if prompt is not None else "")
        measured = {(row["p"], row["s"]): row for row in self._answer_rows(document, place)}
        return [
            Answer(
                cell=cell,
                prompt=prompts[row["p"]],
                number=row["s"],
                seed=row["seed"],
                text=row["text"],
                finish_reason=row["finish"],
                values=measured[row["p"], row["s"]]["v"],
                guard=tuple(row["guard"]),
                shared="of" in row,
                problem=measured[row["p"], row["s"]].get("j"),
                error=row.get("error"),
                engine=row.get("m", ""),
            )
            for row in self._store.row_values(study_id, f"t/{place}")
        ]

    def evidence(self, study_id: str) -> Evidence:
        """Return a study's stored rows: for the claims, and to write them to a file. Raises NotFound."""
        document = self._document(study_id)
        view = self._view(document)
        return Evidence(
            study=view.study,
            model=view.model,
            answers=self._answer_rows(document),
            sets=self._set_rows(document),
            texts=text_rows(self._store.row_values(study_id, "t/")),
            engine=_first_engine(view.engines),
            engines=view.engines,
        )

    def claim_studies(
        self,
        model: str | None = None,
        wanted: Callable[[str], bool] = lambda name: name.startswith("claims-"),
    ) -> dict[str, Evidence]:
        """Return the newest finished studies of a model (default: the newest one's), by name.

        wanted: which; by default those of the claims.
        """
        newest: dict[str, Evidence] = {}
        for document in self._store.of_kind(KIND, limit=500):
            name = document.data["study"]["name"]
            if not wanted(name) or document.data["state"] != "done" or name in newest:
                continue
            view = self._view(document)
            if model in (None, view.model):
                model = view.model
                newest[name] = self.evidence(document.id)
        return dict(sorted(newest.items()))

    def claims(self, model: str | None = None) -> tuple[ClaimResult, ...]:
        """Return what this machine's own runs of the shipped study say of C1–C15; empty without one.

        What people voted after reading blind decides C11.
        """
        from twokeys.core.study.claim_rules import examine

        studies = self.claim_studies(model)
        rows = examine(studies) if studies else ()
        name = rows[0].model if rows else model
        reading = self.readings.of(name)
        if reading is None or not reading.complete:
            return rows
        read = reading.claim()
        return tuple(read if row.claim == read.claim else row for row in rows) or (read,)

    def papers(self, model: str | None = None) -> tuple[PaperResult, ...]:
        """Return what this machine's own runs say of the papers; empty without one."""
        from twokeys.core.study.paper_rules import examine_papers

        wanted = {paper.study for paper in PAPERS}
        studies = self.claim_studies(model, lambda name: name in wanted)
        return examine_papers(studies) if studies else ()

    def forms(self, model: str | None = None) -> tuple[FormFinding, ...]:
        """Return what this machine's own run says of a grammar's effect; empty without one."""
        from twokeys.core.study.forms import STUDY, examine_forms

        studies = self.claim_studies(model, lambda name: name == STUDY)
        return tuple(row for evidence in studies.values() for row in examine_forms(evidence))

    def measured(self, model: str) -> tuple[Measured, ...]:
        """Return what studies say by temperature of a model, a row for each measure.

        This machine's own finished studies come before the shipped runs.
        """
        own: list[Measured] = []
        for document in self._store.of_kind(KIND, limit=500):
            if document.data["state"] != "done":
                continue
            mark = (document.id, document.updated_at)
            if mark not in self._measured:
                self._measured[mark] = self._measured_in(document)
            own += [row for row in self._measured[mark] if row.model == model]
        shipped = [row for row in load_measured() if row.model == model]
        known = {row.measure: row for row in (*best(shipped), *best(own))}
        return best(known.values())

    def close(self, wait_s: float = 5.0) -> None:
        """Pause everything that runs here, and start nothing more."""
        self._works.close(wait_s)

    def _newest_reading(self, model: str | None) -> tuple[str, str] | None:
        """Return the id and the model of the newest finished study that people read."""
        for document in self._store.of_kind(KIND, limit=500):
            if document.data["study"]["name"] == READING_STUDY and document.data["state"] == "done":
                view = self._view(document)
                if model in (None, view.model):
                    return view.id, view.model
        return None

    def _measured_in(self, document: StoredDocument) -> tuple[Measured, ...]:
        view = self._view(document)
        return measured_in(Evidence(view.study, view.model, self._answer_rows(document), (), ()), view.id)

    # ---- inside -----------------------------------------------------------------------------

    def _prepare(self, document: StoredDocument, on: FleetSpec | None) -> _StudyWork:
        """Note that a study runs, and return its work."""
        study_id = document.id
        spec = FleetSpec.from_dict(document.data.get("fleet") or {}) if on is None else on
        fleet = self._make_fleet(spec) if spec and self._make_fleet is not None else None
        run = StudyRun(
            study_id,
            Study.from_dict(document.data["study"]),
            rows=self._store,
            jobs=self._jobs,
            pool=self._pool,
            members=fleet.members if fleet else (),
            known=document.data.get("engines"),
            on_change=lambda: self._tell(study_id),
            on_engine=lambda engines: self._note(study_id, engines=engines),
        )
        model = "" if fleet else self._model() or ""
        self._note(study_id, state="running", error=None, model=model, fleet=spec.to_dict() if spec else None)
        return _StudyWork(run, LoopTask(self._jobs.loop.submit), self._run, fleet)

    async def _run(self, work: _StudyWork) -> None:
        """Run to the end and note how it ended. On the loop."""
        study_id = work.run.id
        state, error = "paused", None
        try:
            if self._turn is None:
                self._turn = asyncio.Lock()
            async with self._turn:
                work.began = True
                await work.run.run()
            state = "done"
        except asyncio.CancelledError:
            pass
        except StudyFailed as failure:
            state, error = "failed", failure.error
        except TwoKeysError as failure:
            state, error = "failed", failure.stored()
        except Exception as failure:
            log.exception("study %s failed", study_id)
            state, error = "failed", unexpected(failure)
        finally:
            if work.fleet is not None:
                await work.fleet.close()
            engines = {setup: dict(facts) for setup, facts in work.run.progress.engines.items()}
            await self._note_end(work, state=state, error=error, engines=engines)

    async def _note_end(self, work: _StudyWork, **changes: object) -> None:
        """Store how a run ended, for as long as it takes; at the app's end once. It is paused without."""
        while True:
            try:
                await asyncio.to_thread(self._note, work.run.id, **changes)
                return
            except STORE_PASSES as failure:
                if work.closing:
                    log.warning("the end of study %s could not be stored: %s", work.run.id, failure)
                    return
            await asyncio.sleep(STORE_RETRY_S)

    def _note(self, study_id: str, **changes: Any) -> None:
        data = dict(self._document(study_id).data)
        engines = {**data.get("engines", {}), **changes.pop("engines", {})}
        self._store.update(study_id, data={**data, **changes, "engines": engines})

    def _answer_rows(self, document: StoredDocument, place: str = "") -> Sequence[Mapping[str, Any]]:
        """Return the measures of answers by name. place: "CELL/" or "CELL/PROMPT/", of these alone."""
        order = document.data.get("measures", ANSWER_ORDER)
        return named_rows(self._store.row_values(document.id, f"a/{place}"), order)

    def _set_rows(self, document: StoredDocument) -> Sequence[Mapping[str, Any]]:
        return named_rows(self._store.row_values(document.id, "s/"), SET_ORDER)

    def _tell(self, study_id: str) -> None:
        self._jobs.topics.publish(study_topic(study_id), {"type": "changed"})

    def _document(self, study_id: str) -> StoredDocument:
        document = self._store.get(study_id)
        if document.kind not in (KIND, PART_KIND):
            raise NotFound(kind="study", name=study_id)
        return document

    def _complete(self, document: StoredDocument) -> bool:
        study = Study.from_dict(document.data["study"])
        return bool(
            document.data["state"] == "done"
            and self._store.count_rows(document.id, "a/") >= study.generations
        )

    def _view(self, document: StoredDocument) -> StudyView:
        study = Study.from_dict(document.data["study"])
        work = self._works.get(document.id)
        done = self._store.count_rows(document.id, "a/")
        state: StudyState = document.data["state"]
        elsewhere = False
        left_s: float | None = None
        now: dict[str, str] = {}
        engines = document.data.get("engines", {})
        error = document.data.get("error")
        if work is not None:
            progress = work.run.progress
            busy = work.began and not progress.waiting and progress.unsaved is None
            state, error = "running" if busy else "waiting", progress.unsaved
            engines = {**engines, **progress.engines}
            if progress.written and progress.to_write:
                left = progress.seconds / progress.written * (progress.to_write - progress.written)
                left_s = left / max(1, len(progress.jobs))  # as many are written side by side
            now = self._now(study, work)
        elif state in ("running", "waiting"):
            elsewhere = self._works.runs_elsewhere(document.id)
            state = "running" if elsewhere else "paused"
        first: Mapping[str, Any] = next(iter(engines.values()), {})
        return StudyView(
            id=document.id,
            study=study,
            state=state,
            created_at=document.created_at,
            updated_at=document.updated_at,
            done=done,
            total=study.generations,
            left_s=left_s,
            now=now,
            model=first.get("model") or document.data.get("model", ""),
            engines=engines,
            error=error,
            elsewhere=elsewhere,
            fleet=self._members(work),
            asked=FleetSpec.from_dict(document.data.get("fleet") or {}),
        )

    def _members(self, work: _StudyWork | None) -> tuple[MemberView, ...]:
        if work is None or work.fleet is None:
            return ()
        progress = work.run.progress
        return tuple(
            MemberView.of(member, progress.engines.get(member.label))
            for member in list(progress.members.values())
        )

    def _now(self, study: Study, work: _StudyWork) -> dict[str, str]:
        for job_id, trial in list(work.run.progress.jobs.items()):
            job = self._jobs.view(job_id)
            if job is not None and job.active:
                return {
                    "cell": study.cells[trial.cell].name,
                    "prompt": study.prompts[trial.prompt].id,
                    "text": job.text,
                }
        return {}


def _first_engine(engines: Mapping[str, Mapping[str, object]]) -> Mapping[str, Any]:
    """Return what the first engine is, without what only matters beside others."""
    first = next(iter(engines.values()), {})
    return {name: value for name, value in first.items() if name != "probe"}


def _fingerprint(document: StoredDocument) -> str:
    """Return the fingerprint of a stored study by the names that its parts have now."""
    return Study.from_dict(document.data["study"]).fingerprint
