"""A comparison as screens and commands see it.

A comparison is a hidden conversation (kind "comparison") whose one question has an answer beside
the other for each column, and a document of kind "comparison" that says which is which. So text,
journal, probabilities, guard events and provenance are those of any answer.
"""

from dataclasses import dataclass
from typing import Literal

from twokeys.core.conversations import Turn
from twokeys.core.jobs import JobView
from twokeys.errors import NotFound
from twokeys.types import AnswerSchema, Message, Sampling, Settings

KIND = "comparison"
TITLE_LENGTH = 120
"""Characters that a title may have when a person writes it."""

Sharing = Literal["cloned", "cached", "none"]
"""How the columns share the prefill of the question.

cloned: processed once, its state copied into a slot for each column; all write together.
cached: processed once and kept in the engine's cache; the columns write one after another, because
    memory does not allow a context for each (on a CPU that is as fast).
none: the server belongs to somebody else; each column is sent as a request of its own.
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a comparison was started from.

    conversation_id: the conversation whose turns are read before the question. question_id: the
    question there, when one that was asked already is compared. parent_id: the message that the
    question follows, None for the first.
    """

    conversation_id: str
    question_id: str | None
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Prefill:
    """How much of the prompt was processed for all columns together, in tokens; None while unknown.

    prompt_tokens: one prompt. processed_tokens: all that the engine processed, the shared prefill
    included. ratio = processed / prompt: 1 is perfect, the number of columns is the usual way.
    wall_s: from the start of the first column to the end of the last.
    """

    prompt_tokens: int | None = None
    processed_tokens: int | None = None
    wall_s: float | None = None

    @property
    def ratio(self) -> float | None:
        if not self.prompt_tokens or self.processed_tokens is None:
            return None
        return self.processed_tokens / self.prompt_tokens


@dataclass(frozen=True, slots=True)
class Blind:
    """A blind vote on a comparison: the columns as they are shown, and whether they were revealed.

    order: column numbers from the first place to the last.
    """

    order: tuple[int, ...]
    revealed: bool = False


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column as it is now.

    index: its number, from 0. name: its label, or the temperature. system_prompt: its own,
    None for the comparison's; answer_schema: too. answer: with live text. job: the newest job that
    writes or wrote it, None when that is long ago. answer_ids: all versions (a fork makes one), the shown
    one is answer.id. kept_as: the message in a conversation that it was kept as, None when it was not.
    """

    index: int
    name: str
    label: str
    sampling: Sampling
    preset: str | None
    system_prompt: str | None
    answer: Message
    job: JobView | None
    answer_ids: tuple[str, ...]
    kept_as: str | None = None
    answer_schema: AnswerSchema | None = None

    @property
    def active(self) -> bool:
        """Whether it is queued or being written."""
        return self.answer.state in ("queued", "streaming")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as it is now. Times are Unix seconds.

    turn: the hidden conversation, up to the question. sharing: None until the first column has got its
    engine.
    """

    id: str
    title: str
    created_at: float
    updated_at: float
    turn: Turn
    columns: tuple[ColumnView, ...]
    source: Origin | None
    same_seed: bool
    sharing: Sharing | None
    prefill: Prefill
    task_type: str | None
    blind: Blind | None
    deleted_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether any column is queued or being written."""
        return any(column.active for column in self.columns)

    @property
    def conversation_id(self) -> str:
        """The hidden conversation; also the live topic of all columns."""
        return self.turn.conversation.id

    @property
    def question(self) -> Message:
        return self.turn.last

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that are read before the question."""
        return self.turn.above.path

    @property
    def settings(self) -> Settings:
        """System prompt and guard of all columns."""
        return self.turn.conversation.settings

    @property
    def system_prompt(self) -> str:
        """The system prompt of all columns that have none of their own."""
        return self.settings.system_prompt

    def column(self, number: int) -> ColumnView:
        """Return a column by its number. Raises NotFound."""
        if not 0 <= number < len(self.columns):
            raise NotFound(kind="column", name=str(number))
        return self.columns[number]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line of the list of comparisons."""

    id: str
    title: str
    updated_at: float
    names: tuple[str, ...]
    task_type: str | None


@dataclass(frozen=True, slots=True)
class ComparePlan:
    """What a comparison would need, before it is started.

    context: tokens of one column (prompt + the longest answer). fits: one column fits the engine's
    context. sharing: how the question would be shared. needed_bytes / available_bytes: memory of the
    parallel way, None where there is no local engine. exact False: the prompt was estimated.
    """

    prompt_tokens: int
    exact: bool
    context: int
    fits: bool
    sharing: Sharing
    needed_bytes: int | None = None
    available_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A column's answer that became part of a conversation. created: the conversation is new."""

    conversation_id: str
    message_id: str
    created: bool
