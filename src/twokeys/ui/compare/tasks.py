"""The kinds of task that votes are sorted by, and their names: those of the task picker."""

from twokeys.core.advice.tasks import BY_NAME
from twokeys.core.advice.tasks import TASKS as PICKED
from twokeys.ui.words import t

TASKS = tuple(task.name for task in PICKED)
"""So a winner can be laid beside what the picker sets. A person may write another."""


def task_name(task: str | None) -> str:
    """Return what people call a kind of task; their own words stay as they wrote them."""
    if task is None:
        return t("compare.task.any")
    return t(f"advice.task.{task}.title") if task in BY_NAME else task
