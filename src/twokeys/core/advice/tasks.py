"""The tasks a person can name, and the keys that suit each (S5, S8, S13, S16).

Values only; titles and reasons are texts under `advice.task.<name>`. No task ever changes a
setting by itself: `advise` returns what would be set and leaves out what the person pinned.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["exact", "steady", "open"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a person wants done most this time.

    family: "exact" wants facts and rules (temperature 0.1–0.4), "steady" explanation and documents
    (0.6–0.8), "open" ideas and images (0.8–1.0, facts to be checked by a person).
    segments: the length is better reached section by section (S12).
    """

    name: str
    family: Family
    temperature: float
    max_new_tokens: int
    check_facts: bool = False
    segments: bool = False

    @property
    def changes(self) -> Mapping[str, Any]:
        """The parameters of Sampling that this task sets."""
        return {"temperature": self.temperature, "max_new_tokens": self.max_new_tokens}


TASKS: tuple[Task, ...] = (
    Task("fact_check", "exact", 0.2, 512),
    Task("code_review", "exact", 0.3, 1024),
    Task("exam", "exact", 0.2, 1024),
    Task("code", "exact", 0.3, 1024),
    Task("explain", "steady", 0.7, 2048),
    Task("document", "steady", 0.7, 2048),
    Task("translate", "exact", 0.3, 1024),
    Task("summary", "exact", 0.4, 1024),
    Task("long_text", "steady", 0.7, 3584, segments=True),
    Task("dialogue", "steady", 0.7, 3072),
    Task("brainstorm", "open", 0.9, 1024, check_facts=True),
    Task("naming", "open", 1.0, 512, check_facts=True),
    Task("story", "open", 0.9, 3072, check_facts=True),
)
BY_NAME: Mapping[str, Task] = {task.name: task for task in TASKS}


def advise(task: Task, pinned: Collection[str] = ()) -> dict[str, object]:
    """Return the parameters the task would set, without those a person has pinned."""
    return {name: value for name, value in task.changes.items() if name not in pinned}
