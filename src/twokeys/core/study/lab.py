"""The lab: everything a screen or a command asks of studies. `services.lab` is one of these.

All methods are synchronous and may be called from any thread. Studies live in the store; a running
one is a background coroutine of the job manager's loop. Changes are told on the topic
`study_topic(id)` as {"type": "changed"}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twokeys.core.study.prompt import PromptSet
from twokeys.core.study.result import StudyResult
from twokeys.core.study.study import Study

StudyState = Literal["new", "running", "waiting", "paused", "done", "failed"]
"""new: never started. waiting: running, but a chat comes first just now. paused: stopped by a person
or by the end of the app; `start` goes on. failed: the engine kept failing; `start` tries again."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as it is now.

    done / total: answers. failed: answers that ended in an error. left_s: seconds left, None while not known.
    now: {"cell", "prompt", "text"} of the answer being written, empty otherwise. error: {"code",
    "params"} of a failed study. elsewhere: another process of this home runs it.
    """

    id: str
    study: Study
    state: StudyState
    created_at: float
    updated_at: float
    done: int
    total: int
    failed: int
    left_s: float | None
    now: Mapping[str, str]
    model: str
    error: Mapping[str, Any] | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """What a study can see: with its prompts × seeds, differences of at least `smallest` are found with 80 %
    probability; `needed` answers per cell would find `margin` (None without a margin)."""

    measure: str
    smallest: float
    margin: float | None
    needed: int | None
    answers: int


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What starting would mean. generations: answers in all; shared: of these, taken from others without
    generating; tokens: expected to be written; seconds: None when the model has never answered here."""

    generations: int
    shared: int
    tokens: int
    seconds: float | None
    power: tuple[Power, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer of a study. values: its measures; seed: the engine's."""

    cell: str
    prompt: str
    number: int
    seed: int
    text: str
    finish_reason: str
    values: Mapping[str, float | None]
    guard: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, Any] | None = None


class Lab:
    """See the module."""

    def prompt_sets(self) -> tuple[PromptSet, ...]: ...
    def shipped(self) -> Mapping[str, Study]: ...
    def plan(self, study: Study, model: str | None = None) -> StudyPlan: ...
    def create(self, study: Study) -> StudyView: ...
    def start(self, study_id: str) -> StudyView: ...
    def pause(self, study_id: str, wait_s: float = 5.0) -> StudyView: ...
    def view(self, study_id: str) -> StudyView: ...
    def list(self, limit: int = 50) -> Sequence[StudyView]: ...
    def delete(self, study_id: str) -> str: ...
    def result(self, study_id: str) -> StudyResult: ...
    def answers(self, study_id: str, cell: str, prompt: str | None = None) -> Sequence[Answer]: ...
    def close(self) -> None: ...
