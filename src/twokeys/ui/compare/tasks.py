"""The kinds of task that votes are sorted by, and their names."""

from twokeys.ui.state import t

TASKS = ("fact", "code", "explain", "draft", "ideas", "copy", "chat")
"""S5 and S8: what people ask for. A person may write another."""


def task_name(task: str | None) -> str:
    """Return what people call a kind of task; their own words stay as they wrote them."""
    if task is None:
        return t("compare.task.any")
    return t(f"compare.task.{task}") if task in TASKS else task
