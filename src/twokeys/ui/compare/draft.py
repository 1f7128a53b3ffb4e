"""A comparison that is being set up in this tab: its question and columns, before anything is started.

Values and where they are kept; draws nothing.
"""

from dataclasses import dataclass, replace
from typing import Any

from twokeys.core import by_hand
from twokeys.core.compare.column import MAX_COLUMNS, MIN_COLUMNS, Column, check_columns
from twokeys.errors import TwoKeysError
from twokeys.types import BOUNDS, Settings
from twokeys.ui import notices, state


@dataclass(frozen=True, slots=True)
class DraftColumn:
    """A column and what names its widgets. edition: counts the changes that did not come from them."""

    number: int
    column: Column
    edition: int = 0

    def key(self, name: str) -> str:
        """Return the key of the widget of one parameter."""
        return f"column_{name}_{self.number}_{self.edition}"


@dataclass(frozen=True, slots=True)
class ComparisonDraft:
    """What a comparison will be started with.

    columns: those to be started. question: also kept while other pages are open. message_id: the
    message that is compared from, None for a question of its own. task_type: the conversation's
    task until a person chooses another. own_task: what it was there.
    """

    columns: tuple[DraftColumn, ...]
    question: str = ""
    message_id: str | None = None
    with_history: bool = False
    same_seed: bool = True
    seed: int | None = None
    task_type: str | None = None
    own_task: str | None = None
    blind: bool = False

    @property
    def can_grow(self) -> bool:
        return len(self.columns) < MAX_COLUMNS

    @property
    def can_shrink(self) -> bool:
        return len(self.columns) > MIN_COLUMNS

    def plain_columns(self) -> tuple[Column, ...]:
        return tuple(slot.column for slot in self.columns)


_DRAFT = state.TabValue[ComparisonDraft | None]("compare_draft", None)


def current(settings: Settings, message_id: str | None) -> ComparisonDraft:
    """Return the draft of this tab; a new one takes the conversation's parameters and its task."""
    draft = _DRAFT.get()
    if draft is None:
        columns = state.services().compare.default_columns(settings)
        draft = ComparisonDraft(tuple(DraftColumn(number, column) for number, column in enumerate(columns)))
    if draft.message_id != message_id:
        draft = replace(draft, message_id=message_id)
    if draft.own_task != settings.task:
        untouched = draft.task_type == draft.own_task
        task = settings.task if untouched else draft.task_type
        draft = replace(draft, task_type=task, own_task=settings.task)
    keep(draft)
    return draft


def keep(draft: ComparisonDraft) -> None:
    """Keep the draft for this tab."""
    _DRAFT.set(draft)


def change(**changes: Any) -> None:
    """Change the draft of this tab."""
    draft = _DRAFT.get()
    if draft is not None:
        keep(replace(draft, **changes))


def change_column(number: int, **changes: object) -> None:
    """Change one column by its widgets: parameters by their names, label, system_prompt.

    A value out of range is not taken, and the person is told.
    """
    draft = _DRAFT.get()
    if draft is None:
        return
    presets = state.services().presets
    try:
        slots = tuple(
            replace(slot, column=by_hand.change_column(slot.column, presets, changes))
            if slot.number == number
            else slot
            for slot in draft.columns
        )
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        keep(replace(draft, columns=slots))


def replace_column(number: int, column: Column) -> None:
    """Put another column in the place of one; its widgets are made anew."""
    draft = _DRAFT.get()
    if draft is not None:
        slots = tuple(
            DraftColumn(number, column, slot.edition + 1) if slot.number == number else slot
            for slot in draft.columns
        )
        keep(replace(draft, columns=slots))


def add(column: Column | None = None) -> None:
    """Add a column: the given one, or the last one a little hotter."""
    draft = _DRAFT.get()
    if draft is None or not draft.can_grow:
        return
    last = draft.columns[-1].column
    if column is None:
        hotter = min(BOUNDS["temperature"].high, round(last.sampling.temperature + 0.2, 2))
        column = replace(last, sampling=last.sampling.with_(temperature=hotter), label="", preset=None)
    number = max(slot.number for slot in draft.columns) + 1
    keep(replace(draft, columns=(*draft.columns, DraftColumn(number, column))))


def remove(number: int) -> None:
    """Remove a column, unless two are left."""
    draft = _DRAFT.get()
    if draft is not None and draft.can_shrink:
        keep(replace(draft, columns=tuple(slot for slot in draft.columns if slot.number != number)))


def take_over(columns: tuple[Column, ...], question: str) -> None:
    """Set up the columns and question of an earlier comparison again."""
    start = _DRAFT.get() or ComparisonDraft(())
    free = max((slot.number for slot in start.columns), default=-1) + 1
    slots = tuple(DraftColumn(free + place, column) for place, column in enumerate(check_columns(columns)))
    keep(replace(start, columns=slots, question=question))
