"""Runs tunings: `services.tuner`. Search and proof are studies of the lab's and survive what those do.

Every step is stored before it runs: after a restart `start` goes on with the try that was open.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from twokeys.core.jobs import JobManager
from twokeys.core.study.lab import Lab, StudyStore, StudyView
from twokeys.core.study.result import MeasureComparison
from twokeys.core.study.runner import STORE_PASSES, STORE_RETRY_S
from twokeys.core.study.study import Study
from twokeys.core.study.tuning import (
    Try,
    Tuning,
    best,
    proof_study,
    propose,
    proved,
    rounded,
    score,
    search_study,
)
from twokeys.core.undertaking import Lock, Undertakings, in_thread
from twokeys.errors import BadInput, NotFound, Reason, TwoKeysError, unexpected
from twokeys.i18n import translate
from twokeys.types import Preset, StoredDocument

log = logging.getLogger(__name__)

KIND = "tuning"
T = TypeVar("T")
TuningState = Literal["new", "searching", "proving", "paused", "done", "failed"]


@dataclass(frozen=True, slots=True)
class TuningView:
    """A tuning as it is now.

    tries: what was tried, with scores. winner: the best setting, None before the search's end.
    proof_id: the study that sets it against the default. proof: its comparison, the verdict in
    `proof.sentence(language)`; None before the end. better: the winner may be offered as a preset.
    done / total: answers. saved_as: the preset it was saved as. error: of a failed one. elsewhere: another
    process of this home runs it.
    """

    id: str
    tuning: Tuning
    state: TuningState
    tries: tuple[Try, ...]
    winner: Mapping[str, Any] | None
    proof_id: str | None
    proof: MeasureComparison | None
    better: bool
    done: int
    total: int
    saved_as: str | None = None
    error: Mapping[str, Any] | None = None
    elsewhere: bool = False


class _TuningWork:
    """A tuning that runs in this process: an `Undertaking`.

    body: runs it in this thread. pause_study: pauses the study that is its present step.
    """

    def __init__(
        self, tuning_id: str, body: Callable[["_TuningWork"], None], pause_study: Callable[[str], object]
    ) -> None:
        self.id = tuning_id
        self.stopped = threading.Event()
        self.closing = False
        self.study_id: str | None = None
        self._body = body
        self._pause_study = pause_study

    def begin(self, ended: Callable[[], None]) -> None:
        """See Undertaking.begin."""
        in_thread(f"twokeys-tuning-{self.id}", lambda: self._body(self), ended)

    def stop(self, *, closing: bool = False) -> None:
        """Give up the answer being written; the try that is open goes on at the next start."""
        self.closing = self.closing or closing
        self.stopped.set()
        if self.study_id is not None:
            self._pause_study(self.study_id)


class Tuner:
    """The tunings of one home.

    save_preset: stores a preset of a person's own. make_lock: returns the lock between processes of a name.
    """

    def __init__(
        self,
        lab: Lab,
        store: StudyStore,
        jobs: JobManager,
        save_preset: Callable[[Preset], Preset],
        make_lock: Callable[[str], Lock],
    ) -> None:
        self._lab = lab
        self._store = store
        self._jobs = jobs
        self._save_preset = save_preset
        self._works: Undertakings[_TuningWork] = Undertakings(
            "tuning",
            make_lock,
            elsewhere="lab.tuning.elsewhere",
            on_ended=lambda tuning_id, _: self._tell(tuning_id),
        )

    def create(self, tuning: Tuning) -> TuningView:
        """Store a tuning; `start` runs it. Raises BadParameter when it could prove nothing."""
        tuning.check()
        data: dict[str, Any] = {
            "tuning": tuning.to_dict(),
            "state": "new",
            "tries": [],
            "proof": None,
            "error": None,
        }
        return self.view(self._store.create(KIND, tuning.name, data).id)

    def start(self, tuning_id: str) -> TuningView:
        """Run a tuning, or go on where it was. Does nothing when it runs here or is done.

        Raises NotFound, BadInput when another process of this home runs it, and StoreError when its start
        cannot be stored: then it is as it was.
        """
        if self._document(tuning_id).data["state"] != "done":
            self._works.start(tuning_id, lambda: self._prepare(tuning_id))
        return self.view(tuning_id)

    def pause(self, tuning_id: str, wait_s: float = 10.0) -> TuningView:
        """Stop; the try that is open goes on at the next start."""
        self._works.stop(tuning_id, wait_s)
        return self.view(tuning_id)

    def wait(self, tuning_id: str, timeout_s: float | None = None) -> TuningView:
        """Return the tuning once its run here has ended, or the time is over."""
        self._works.wait(tuning_id, timeout_s)
        return self.view(tuning_id)

    def view(self, tuning_id: str) -> TuningView:
        """Return a tuning as it is now. Raises NotFound."""
        return self._view(self._document(tuning_id))

    def list(self, limit: int = 20) -> Sequence[TuningView]:
        """Return the tunings, the latest first."""
        return [self._view(document) for document in self._store.of_kind(KIND, limit)]

    def delete(self, tuning_id: str) -> tuple[str, ...]:
        """Stop a tuning and move it and its studies to the bin.

        Returns a token for `repository.undo` for each of them. Raises NotFound.
        """
        self.pause(tuning_id)
        document = self._document(tuning_id)
        data = document.data
        studies = [attempt["study"] for attempt in data["tries"]] + ([data["proof"]] if data["proof"] else [])
        return (self._store.delete(tuning_id), *(self._lab.delete(str(study)) for study in studies))

    def save_preset(self, tuning_id: str, name: str, language: str = "en") -> Preset:
        """Keep the winner as a preset of one's own, with what was found of it told in "zh" or "en".

        Raises BadInput when it was not proved better, PresetTaken when there is one of that name.
        """
        view = self.view(tuning_id)
        if not view.better or view.winner is None or view.proof is None or view.proof_id is None:
            raise BadInput(reason=Reason("lab.not_proved"))
        evidence = translate(
            "lab.tuning.evidence",
            language,
            name=view.tuning.name,
            model=self._lab.view(view.proof_id).model,
            found=view.proof.sentence(language),
        )
        preset = self._save_preset(Preset(name, "own", dict(view.winner), evidence=evidence))
        self._note(tuning_id, saved_as=preset.name)
        return preset

    def close(self) -> None:
        """Stop all that run here, and start nothing more."""
        self._works.close()

    # ---- inside -----------------------------------------------------------------------------

    def _prepare(self, tuning_id: str) -> _TuningWork:
        """Note that a tuning runs, and return its work."""
        self._note(tuning_id, state="searching", error=None)
        return _TuningWork(tuning_id, self._run, lambda study_id: self._lab.pause(study_id, 0.0))

    def _run(self, work: _TuningWork) -> None:
        state: TuningState = "paused"
        error: Mapping[str, Any] | None = None
        try:
            if self._search(work) and self._prove(work):
                state = "done"
        except _StepFailed as failure:
            state, error = "failed", failure.error
        except TwoKeysError as failure:
            if not work.stopped.is_set():
                state, error = "failed", failure.stored()
        except Exception as failure:
            log.exception("tuning %s failed", work.id)
            state, error = "failed", unexpected(failure)
        finally:
            try:
                self._keep(work, state=state, error=error)
            except TwoKeysError:
                log.exception("the end of tuning %s could not be stored", work.id)

    def _search(self, work: _TuningWork) -> bool:
        """Try settings until there are enough; False when it was paused."""
        while True:
            data = self._document(work.id).data
            tuning, tries = Tuning.from_dict(data["tuning"]), list(data["tries"])
            if not tries or tries[-1].get("score") is not None:
                if len(tries) >= tuning.tries:
                    return True
                changes = rounded(propose(tuning, _tries(tries)))
                study = self._create(work, search_study(tuning, len(tries), changes))
                tries.append({"changes": changes, "study": study.id})
                self._keep(work, tries=tries)
            if not self._step(work, tries[-1]["study"]):
                return False
            result = self._lab.result(tries[-1]["study"], along=False)
            mean_nll = result.cells[0].estimates.get("mean_nll")
            default = data.get("default_mean_nll", data.get("default_surprise"))
            if len(tries) == 1 and mean_nll is not None:
                default = mean_nll.mean
            tries[-1]["score"] = score(tuning, result, default)
            self._keep(work, tries=tries, default_mean_nll=default)
            self._tell(work.id)

    def _prove(self, work: _TuningWork) -> bool:
        """Set the winner against the default; False when it was paused."""
        data = self._document(work.id).data
        tuning = Tuning.from_dict(data["tuning"])
        if data["proof"] is None:
            winner = best(_tries(data["tries"])).changes
            spent = sum(self._lab.view(attempt["study"]).total for attempt in data["tries"])
            study = self._create(work, proof_study(tuning, winner, spent))
            self._keep(work, proof=study.id, winner=dict(winner))
        self._keep(work, state="proving")
        return self._step(work, str(self._document(work.id).data["proof"]))

    def _step(self, work: _TuningWork, study_id: str) -> bool:
        """Run a study to its end; False when the tuning was paused. Raises _StepFailed."""
        work.study_id = study_id
        if work.stopped.is_set():
            return False
        self._patiently(work, lambda: self._lab.start(study_id))
        if work.stopped.is_set():
            self._lab.pause(study_id, 0.0)  # it was stopped while the study began
        view = self._lab.wait(study_id)
        if view.state == "failed":
            raise _StepFailed(view.error or {"code": "engine", "params": {}})
        return view.state == "done"

    def _create(self, work: _TuningWork, study: Study) -> StudyView:
        return self._patiently(work, lambda: self._lab.create(study, part=True))

    def _keep(self, work: _TuningWork, **changes: object) -> None:
        self._patiently(work, lambda: self._note(work.id, **changes))

    def _patiently(self, work: _TuningWork, store: Callable[[], T]) -> T:
        """Store something, again and again while the database is locked or the disk full.

        Raises StoreLocked or StoreFull only once the tuning was stopped.
        """
        while True:
            try:
                return store()
            except STORE_PASSES as error:
                if work.stopped.is_set():
                    raise
                log.warning("tuning %s cannot be stored now: %s", work.id, error)
            work.stopped.wait(STORE_RETRY_S)

    def _view(self, document: StoredDocument) -> TuningView:
        data = document.data
        tuning = Tuning.from_dict(data["tuning"])
        state: TuningState = data["state"]
        elsewhere = False
        if state in ("searching", "proving") and self._works.get(document.id) is None:
            elsewhere = self._works.runs_elsewhere(document.id)
            state = state if elsewhere else "paused"
        proof: MeasureComparison | None = None
        better = False
        done = sum(self._lab.view(attempt["study"]).done for attempt in data["tries"])
        total = tuning.budget
        if data["proof"] is not None:
            view = self._lab.view(data["proof"])
            done, total = done + view.done, done + view.total
            if view.state == "done":
                result = self._lab.result(data["proof"], along=False)
                better = proved(tuning, result) is not None
                proof = next((c for c in result.comparisons if c.measure == tuning.outcome), None)
        return TuningView(
            id=document.id,
            tuning=tuning,
            state=state,
            tries=_tries(data["tries"]),
            winner=data.get("winner"),
            proof_id=data["proof"],
            proof=proof,
            better=better,
            done=done,
            total=total,
            saved_as=data.get("saved_as"),
            error=data.get("error"),
            elsewhere=elsewhere,
        )

    def _note(self, tuning_id: str, **changes: object) -> None:
        self._store.update(tuning_id, data={**self._document(tuning_id).data, **changes})

    def _tell(self, tuning_id: str) -> None:
        self._jobs.topics.publish(tuning_topic(tuning_id), {"type": "changed"})

    def _document(self, tuning_id: str) -> StoredDocument:
        document = self._store.get(tuning_id)
        if document.kind != KIND:
            raise NotFound(kind="tuning", name=tuning_id)
        return document


class _StepFailed(Exception):
    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error.get("code"))
        self.error = error


def tuning_topic(tuning_id: str) -> str:
    """Return the topic under which a tuning's changes are told."""
    return f"tuning:{tuning_id}"


def _tries(stored: Sequence[Mapping[str, Any]]) -> tuple[Try, ...]:
    return tuple(Try(attempt["changes"], attempt.get("score")) for attempt in stored)
