"""One section: its versions, the draft that is being written, and what is to happen when it pauses.

A draft is one answer of the engine on its way into the text. `next_step` decides from how the
answer ended: go on, go on differently, or take it. Pure; stores and generates nothing.
"""

from collections.abc import Collection, Container, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.known import known_values
from twokeys.core.writer.loops import find_loop, goes_in_circles
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import Operation
from twokeys.core.writer.prose import (
    clean_answer,
    drop_bare_marks,
    drop_said,
    is_whole,
    runs_on,
    trim_to_sentence,
)
from twokeys.core.writer.quality import REP_N

Problem = Literal["short", "long", "loop", "cut", "error"]
TOLERANCE = 0.25
"""A section that misses its length by more is offered a fix."""

MAX_LOOPS = 3
"""So many loops of one draft are cut back and gone on from differently."""

FREE = ("write", "continue", "expand", "rewrite")
"""Operations whose answer is a text of its own: what repeats in it does so without need."""

MAX_CONTINUED = 6
CLOSING_TOKENS = 96
"""What an answer that has its length, but no end, is given to come to one."""


@dataclass(frozen=True, slots=True)
class SectionVersion:
    """A text of a section. key: unique in the project.

    tokens, prompt_tokens, seconds: what it cost, of its own answer; answer_length and
    answer_estimate: that answer in the project's unit and in our estimate of its tokens. loops: cut
    back; dropped: sentences left out as said before.
    """

    key: str
    operation: Operation
    text: str
    length: int
    created_at: float
    instruction: str = ""
    problem: Problem | None = None
    message: str | None = None
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    answer_length: int = 0
    answer_estimate: int = 0
    loops: int = 0
    continued: int = 0
    dropped: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        return cls(**known_values(cls, values))


@dataclass(frozen=True, slots=True)
class SectionDraft:
    """An answer on its way into a section.

    message: the answer. before, after: the text around it, when it goes into a text that is there.
    length: what the answer should have, 0 when that is open. fixes: how many automatic
    corrections led here.
    """

    message: str
    operation: Operation
    before: str = ""
    after: str = ""
    length: int = 0
    instruction: str = ""
    loops: int = 0
    continued: int = 0
    fixes: int = 0
    parts: Mapping[str, int] | None = None
    limit: int = 0

    def join(self, answer: str) -> str:
        """Return the section's text with the answer in its place."""
        if self.operation == "continue" and self.before and answer:
            return f"{self.before.rstrip()}\n\n{answer.lstrip()}"
        if self.operation == "transition" and answer:
            return f"{self.before}{answer.strip()}{_gap(answer)}{self.after}"
        return f"{self.before}{answer}{self.after}"

    def with_(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        return cls(**known_values(cls, values))


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do with a draft that paused. go_on: tokens to write on with, 0 to take the answer.

    differently: with sampling that leaves a loop. text: the answer as it is taken. dropped: how many
    sentences were left out because they had been said word for word.
    """

    go_on: int = 0
    differently: bool = False
    text: str = ""
    problem: Problem | None = None
    dropped: int = 0


def next_step(
    draft: SectionDraft,
    answer: str,
    reason: str | None,
    project: Project,
    estimator: LengthEstimator,
    title: str,
    most: int,
    others: Collection[str] = (),
    said: Container[str] = (),
    loops: bool = True,
) -> NextStep:
    """Decide about an answer that ended for a reason (types.FinishReason). most: tokens of a request.

    others: the other titles of the outline; an answer that runs on into one of them has ended there.
    said: the sentences of the other sections (`prose.key`), which are not taken again. loops: cut them.
    """
    text, dropped = clean_answer(answer, title, others), 0
    begins = find_loop(text) if loops and draft.operation in FREE else None
    if begins is not None:
        # before sentences are dropped: a loop of whole sentences would leave its first copy, and no trace
        text = trim_to_sentence(text[:begins])
    if draft.operation in ("write", "continue"):
        text, dropped = drop_said(text, said)
    if begins is None:
        step = _decide(draft, text, reason, project, estimator, most)
        if loops and draft.operation in FREE and goes_in_circles(step.text, REP_N[project.language]):
            step = replace(step, problem="loop")
    else:
        wanted = draft.length or int(2 * most / estimator.per_unit)
        enough = project.length_of(text) >= wanted * (1 - TOLERANCE)
        step = NextStep(text=text, problem=None if enough else "loop")
    if runs_on(answer, title, others):
        step = NextStep(text=text)
    return replace(step, text=drop_bare_marks(step.text), dropped=dropped)


def _decide(
    draft: SectionDraft,
    text: str,
    reason: str | None,
    project: Project,
    estimator: LengthEstimator,
    most: int,
) -> NextStep:
    got = project.length_of(text)
    # without a length of its own an answer may grow to two requests' size
    wanted = draft.length or int(2 * most / estimator.per_unit)
    enough = got >= wanted * (1 - TOLERANCE)
    left = min(max(estimator.answer(wanted - got), CLOSING_TOKENS), most)
    if reason == "guard":
        if not enough and draft.loops < MAX_LOOPS:
            return NextStep(go_on=left, differently=True)
        return NextStep(text=trim_to_sentence(text), problem=None if enough else "loop")
    if reason in ("length", "context", "cancelled", "interrupted"):
        if draft.continued >= MAX_CONTINUED or reason == "context":
            return NextStep(text=trim_to_sentence(text), problem=None if enough else "cut")
        if not enough or reason in ("cancelled", "interrupted"):
            return NextStep(go_on=left)
        closing = min(max(estimator.answer(round(wanted * 0.1)), 32), CLOSING_TOKENS)
        if not is_whole(text) and got < wanted and draft.continued < 2:
            return NextStep(go_on=closing)
        return NextStep(text=_closed(text, wanted, project))
    return NextStep(text=text)


def length_problem(asked: int, length: int) -> Problem | None:
    """Return "short" or "long" when a length misses what was asked by more than 25 %."""
    if asked <= 0:
        return None
    if length < asked * (1 - TOLERANCE):
        return "short"
    return "long" if length > asked * (1 + TOLERANCE) else None


def _closed(text: str, wanted: int, project: Project) -> str:
    """Return an answer that we cut, up to its last sentence that is within the tolerance."""
    trimmed = trim_to_sentence(text)
    most = wanted * (1 + TOLERANCE / 2)
    while project.length_of(trimmed) > most:
        shorter = trim_to_sentence(trimmed[: int(len(trimmed) * 0.97)])
        if (
            not shorter
            or len(shorter) >= len(trimmed)
            or project.length_of(shorter) < wanted * (1 - TOLERANCE)
        ):
            break
        trimmed = shorter
    return trimmed


def _gap(answer: str) -> str:
    return "" if ord(answer.rstrip()[-1]) > 0x2E7F else " "
