"""What a screen or a command is told of a project: values as they are at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from twokeys.core.writer.budget import Budget
from twokeys.core.writer.outline import Node, Outline
from twokeys.core.writer.planning import Origin
from twokeys.core.writer.project import Project
from twokeys.core.writer.section import Problem, SectionVersion

ProjectState = Literal["new", "outlining", "ready", "running", "pausing", "paused", "done", "failed"]
SectionState = Literal["empty", "queued", "writing", "partial", "done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section as it is now.

    state: "partial" was stopped or interrupted in the middle and can be gone on with. text: the
    chosen version; of a section without one what was written so far. draft: the text with what is
    being written, or was left in the middle. score: F10, None while nothing is there. problem: why
    a fix is offered. message, job: of the answer being written. versions: oldest first.
    parts: estimated tokens of the last prompt's parts; prompt_tokens: as the engine counted it.
    """

    node: Node
    number: str
    state: SectionState
    text: str = ""
    draft: str = ""
    length: int = 0
    score: float | None = None
    problem: Problem | None = None
    current: str | None = None
    versions: tuple[SectionVersion, ...] = ()
    message: str | None = None
    job: str | None = None
    error: Mapping[str, Any] | None = None
    parts: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0

    @property
    def answer_id(self) -> str | None:
        """The stored answer that the shown text came from; of a text that a person typed, None."""
        chosen = next((version for version in self.versions if version.key == self.current), None)
        return chosen.message if chosen is not None else self.message


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as it is now. Times in Unix seconds.

    origin: who made the outline. conversation: the topic of the live WebSocket. doing: the heading
    that is being written. length: of all that is written, beside `asked`. left_s: seconds left of
    what is to be written, None while not known. extras: abstract and glossary. elsewhere: another
    process of this home writes it. outline_tokens: of an outline being made; growing: level and title
    of the headings it has so far. largest_prompt: the most tokens a prompt of this project has had, as
    the engine counted.
    """

    id: str
    title: str
    project: Project
    outline: Outline
    origin: Origin | None
    state: ProjectState
    created_at: float
    updated_at: float
    conversation: str
    sections: tuple[SectionView, ...]
    extras: Mapping[str, SectionView]
    doing: str | None
    length: int
    asked: int
    left_s: float | None
    budget: Budget
    largest_prompt: int = 0
    elsewhere: bool = False
    outline_tokens: int = 0
    growing: tuple[tuple[int, str], ...] = ()
    error: Mapping[str, Any] | None = None

    def section(self, node_id: str) -> SectionView | None:
        """Return a section, or an extra, by its heading's id."""
        match = next((candidate for candidate in self.sections if candidate.node.id == node_id), None)
        return match or self.extras.get(node_id)

    @property
    def active(self) -> bool:
        """Whether something is being written now."""
        return self.state in ("outlining", "running", "pausing")


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project in the list."""

    id: str
    title: str
    updated_at: float
    done: int
    total: int
    running: bool
