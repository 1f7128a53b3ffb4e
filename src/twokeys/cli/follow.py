"""Following one running answer from the main thread, while the job manager writes it in its own.

The job's events arrive on a queue; `events` hands out those of one answer until it ends. Texts are
joined by their offset, so that a snapshot and the deltas around it never repeat or lose a word.
"""

import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twokeys.types import GuardEvent

if TYPE_CHECKING:
    from twokeys.core.jobs import JobManager

ENDED = ("done", "failed", "cancelled", "interrupted")
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class AnswerProgress:
    """What is known of the answer now. phase None: no change; progress 0…1 or None.

    guard: something the guard has just noticed.
    """

    state: str
    phase: str | None = None
    progress: float | None = None
    text: str = ""
    token_count: int = 0
    ended: bool = False
    guard: GuardEvent | None = None


class Follower:
    """The events of one topic (a conversation), subscribed before the answer is asked for."""

    def __init__(self, jobs: "JobManager") -> None:
        self._jobs = jobs
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    @contextmanager
    def listen(self, topic: str) -> Iterator["Follower"]:
        """Hear the topic's events until the block ends."""
        unsubscribe = self._jobs.topics.subscribe(topic, self._queue.put)
        try:
            yield self
        finally:
            unsubscribe()

    def events(self, job_id: str, *, already: int = 0) -> Iterator[AnswerProgress | None]:
        """Yield the progress of one job until it has ended, and None whenever nothing came for 0.1 s.

        already: characters of the answer that are known (a continued answer); text starts after them.
        """
        seen = already
        while True:
            try:
                event = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                ended = self._ended_unheard(job_id, seen)
                yield ended
                if ended is not None:
                    return
                continue
            for progress in self._read(event, job_id, seen):
                seen += len(progress.text)
                yield progress
                if progress.ended:
                    return

    def _ended_unheard(self, job_id: str, seen: int) -> AnswerProgress | None:
        """An end that was announced before anyone listened is found by looking."""
        view = self._jobs.view(job_id)
        if view is not None and view.state not in ENDED:
            return None
        if not self._queue.empty():
            return None
        if view is None:
            return AnswerProgress("done", ended=True)
        return AnswerProgress(view.state, text=view.text[seen:], token_count=view.token_count, ended=True)

    def _read(self, event: Mapping[str, Any], job_id: str, seen: int) -> Iterator[AnswerProgress]:
        kind = event.get("type")
        if kind == "snapshot":
            for job in event["jobs"]:
                if job["id"] == job_id:
                    yield _of_view(job, job.get("text", "")[seen:])
        elif kind == "job" and event["job"]["id"] == job_id:
            yield _of_view(event["job"], "")
        elif kind == "delta" and event["job"] == job_id:
            fresh = event["text"][max(0, seen - event["at"]) :]
            if fresh:
                yield AnswerProgress("running", text=fresh, token_count=event.get("n", 0))
        elif kind == "guard" and event["job"] == job_id:
            yield AnswerProgress("running", guard=GuardEvent(**event["event"]))
        elif kind == "done" and event["job"] == job_id:
            view = self._jobs.view(job_id)
            rest = view.text[seen:] if view is not None else ""
            yield AnswerProgress(event["state"], text=rest, ended=True)


def _of_view(job: Mapping[str, Any], text: str) -> AnswerProgress:
    return AnswerProgress(
        job["state"], job.get("phase"), job.get("progress"), text, job.get("token_count", 0)
    )
