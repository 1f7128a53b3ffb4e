"""Runs tunings: `services.tuner`. Search and proof are studies of the lab's and survive what those do.

Every step is stored before it runs: after a restart `start` goes on with the try that was open.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twokeys.core.jobs import JobManager
from twokeys.core.study.lab import Lab, StudyStore
from twokeys.core.study.result import Comparison
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
from twokeys.errors import BadInput, NotFound, Reason, TwoKeysError
from twokeys.i18n import translate
from twokeys.types import Document, Preset

log = logging.getLogger(__name__)

KIND = "tuning"
TuningState = Literal["new", "searching", "proving", "paused", "done", "failed"]


@dataclass(frozen=True, slots=True)
class TuningView:
    """A tuning as it is now.

    tries: what was tried, with scores. winner: the best setting, None before the search's end.
    proof_id: the study that sets it against the default. proof: its comparison, the verdict in
    `proof.sentence(language)`; None before the end. better: the winner may be offered as a preset.
    done / total: answers. saved_as: the preset it was saved as. error: of a failed one.
    """

    id: str
    tuning: Tuning
    state: TuningState
    tries: tuple[Try, ...]
    winner: Mapping[str, Any] | None
    proof_id: str | None
    proof: Comparison | None
    better: bool
    done: int
    total: int
    saved_as: str | None = None
    error: Mapping[str, Any] | None = None


class Tuner:
    """See the module. save_preset: stores a preset of a person's own."""

    def __init__(
        self, lab: Lab, store: StudyStore, jobs: JobManager, save_preset: Callable[[Preset], None]
    ) -> None:
        self._lab = lab
        self._store = store
        self._jobs = jobs
        self._save_preset = save_preset
        self._threads: dict[str, threading.Thread] = {}
        self._stop: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

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
        """Run a tuning, or go on where it was. Does nothing when it runs here or is done."""
        with self._lock:
            document = self._document(tuning_id)
            if tuning_id not in self._threads and document.data["state"] != "done":
                self._stop[tuning_id] = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(tuning_id,), name=f"twokeys-tuning-{tuning_id}", daemon=True
                )
                self._threads[tuning_id] = thread
                self._note(tuning_id, state="searching", error=None)
                thread.start()
        return self.view(tuning_id)

    def pause(self, tuning_id: str, wait_s: float = 10.0) -> TuningView:
        """Stop; the try that is open goes on at the next start."""
        thread, stop = self._threads.get(tuning_id), self._stop.get(tuning_id)
        if thread is not None and stop is not None:
            stop.set()
            study_id = self._open_study(self._document(tuning_id))
            if study_id is not None:
                self._lab.pause(study_id, wait_s)
            thread.join(wait_s)
        return self.view(tuning_id)

    def wait(self, tuning_id: str, timeout_s: float | None = None) -> TuningView:
        """Return the tuning once its run here has ended, or the time is over."""
        thread = self._threads.get(tuning_id)
        if thread is not None:
            thread.join(timeout_s)
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
        studies = [one["study"] for one in data["tries"]] + ([data["proof"]] if data["proof"] else [])
        return (self._store.delete(tuning_id), *(self._lab.delete(str(study)) for study in studies))

    def save_preset(self, tuning_id: str, name: str, language: str = "en") -> Preset:
        """Keep the winner as a preset of one's own, with what was found of it told in "zh" or "en".

        Raises BadInput when it was not proved better.
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
        preset = Preset(name, "own", dict(view.winner), evidence=evidence)
        self._save_preset(preset)
        self._note(tuning_id, saved_as=name)
        return preset

    def close(self) -> None:
        """Stop all that run here."""
        for tuning_id in list(self._threads):
            self.pause(tuning_id, 2.0)

    # ---- inside -----------------------------------------------------------------------------

    def _run(self, tuning_id: str) -> None:
        state: TuningState = "paused"
        error: Mapping[str, Any] | None = None
        try:
            if self._search(tuning_id) and self._prove(tuning_id):
                state = "done"
        except _StepFailed as failure:
            state, error = "failed", failure.error
        except TwoKeysError as failure:
            state, error = "failed", failure.to_dict()
        except Exception as failure:
            log.exception("tuning %s failed", tuning_id)
            state, error = "failed", {"code": "unexpected", "params": {"reason": str(failure)}}
        finally:
            try:
                self._note(tuning_id, state=state, error=error)
            except TwoKeysError:
                log.exception("the end of tuning %s could not be stored", tuning_id)
            self._threads.pop(tuning_id, None)
            self._tell(tuning_id)

    def _search(self, tuning_id: str) -> bool:
        """Try settings until there are enough; False when it was paused."""
        while True:
            data = self._document(tuning_id).data
            tuning, tries = Tuning.from_dict(data["tuning"]), list(data["tries"])
            if not tries or tries[-1].get("score") is not None:
                if len(tries) >= tuning.tries:
                    return True
                changes = rounded(propose(tuning, _tries(tries)))
                study = self._lab.create(search_study(tuning, len(tries), changes), part=True)
                tries.append({"changes": changes, "study": study.id})
                self._note(tuning_id, tries=tries)
            if not self._step(tuning_id, tries[-1]["study"]):
                return False
            result = self._lab.result(tries[-1]["study"], along=False)
            surprise = result.cells[0].estimates.get("surprise")
            default = data.get("default_surprise")
            if len(tries) == 1 and surprise is not None:
                default = surprise.mean
            tries[-1]["score"] = score(tuning, result, default)
            self._note(tuning_id, tries=tries, default_surprise=default)
            self._tell(tuning_id)

    def _prove(self, tuning_id: str) -> bool:
        """Set the winner against the default; False when it was paused."""
        data = self._document(tuning_id).data
        tuning = Tuning.from_dict(data["tuning"])
        if data["proof"] is None:
            winner = best(_tries(data["tries"])).changes
            spent = sum(self._lab.view(one["study"]).total for one in data["tries"])
            study = self._lab.create(proof_study(tuning, winner, spent), part=True)
            self._note(tuning_id, proof=study.id, winner=dict(winner))
        self._note(tuning_id, state="proving")
        return self._step(tuning_id, str(self._document(tuning_id).data["proof"]))

    def _step(self, tuning_id: str, study_id: str) -> bool:
        """Run a study to its end; False when the tuning was paused. Raises _StepFailed."""
        if self._stop[tuning_id].is_set():
            return False
        self._lab.start(study_id)
        view = self._lab.wait(study_id)
        if view.state == "failed":
            raise _StepFailed(view.error or {"code": "engine", "params": {}})
        return view.state == "done"

    def _open_study(self, document: Document) -> str | None:
        data = document.data
        if data["proof"] is not None:
            return str(data["proof"])
        return str(data["tries"][-1]["study"]) if data["tries"] else None

    def _view(self, document: Document) -> TuningView:
        data = document.data
        tuning = Tuning.from_dict(data["tuning"])
        state: TuningState = data["state"]
        if state in ("searching", "proving") and document.id not in self._threads:
            state = "paused"
        proof: Comparison | None = None
        better = False
        done = sum(self._lab.view(one["study"]).done for one in data["tries"])
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
        )

    def _note(self, tuning_id: str, **changes: Any) -> None:
        self._store.update(tuning_id, data={**self._document(tuning_id).data, **changes})

    def _tell(self, tuning_id: str) -> None:
        self._jobs.publish(tuning_topic(tuning_id), {"type": "changed"})

    def _document(self, tuning_id: str) -> Document:
        document = self._store.get(tuning_id)
        if document.kind != KIND:
            raise NotFound(kind="tuning", name=tuning_id)
        return document


class _StepFailed(Exception):
    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("code"))
        self.error = error


def tuning_topic(tuning_id: str) -> str:
    """Return the topic under which a tuning's changes are told."""
    return f"tuning:{tuning_id}"


def _tries(stored: Sequence[Mapping[str, Any]]) -> tuple[Try, ...]:
    return tuple(Try(one["changes"], one.get("score")) for one in stored)
