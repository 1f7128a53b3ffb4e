"""The jobs that are known: all that run or wait, and the latest that ended.

Any thread may add a job while others look: every reading is of a copy.
"""

import threading
from collections.abc import Container, Iterator

from twokeys.core.job import Job

KEPT_JOBS = 64


class JobTable:
    """Jobs by id, oldest first. kept: how many ended ones are remembered."""

    def __init__(self, most: int = KEPT_JOBS) -> None:
        self._most = most
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def add(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.id] = job

    def get(self, job_id: str | None) -> Job | None:
        return self._jobs.get(job_id) if job_id is not None else None

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def active(self, topic: str | None = None) -> list[Job]:
        """Return the jobs that wait or run, of a topic or all."""
        return [job for job in self if job.active and (topic is None or job.spec.topic == topic)]

    def of_message(self, message_id: str) -> Job | None:
        """Return the newest job that writes or wrote this answer."""
        return next((job for job in reversed(list(self)) if job.message_id == message_id), None)

    def forget_old(self, but: Container[str]) -> None:
        """Let go of the oldest ended jobs; `but` names those that are still needed."""
        ended = [job.id for job in self if not job.active]
        with self._lock:
            for job_id in ended[: max(0, len(ended) - self._most)]:
                if job_id not in but:
                    self._jobs.pop(job_id, None)
