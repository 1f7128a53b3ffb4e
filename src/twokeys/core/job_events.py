"""What the listeners of a job hear: its state, new text at most 25 times a second, its end.

The events are described in `topics.py`. Only on the loop.
"""

from collections.abc import Callable
from dataclasses import asdict

from twokeys.core.job import Job
from twokeys.core.loop import EngineLoop
from twokeys.core.topics import Event, Topics

DELTA_INTERVAL_S = 0.04


class JobEvents:
    """Sends the events of jobs to their topics."""

    def __init__(self, topics: Topics, loop: EngineLoop, monotonic: Callable[[], float]) -> None:
        self._topics = topics
        self._loop = loop
        self._monotonic = monotonic

    def send(self, job: Job, event: Event) -> None:
        """Send an event that names the job and its message."""
        self._topics.emit(job.spec.topic, {**event, "job": job.id, "message": job.message_id})

    def changed(self, job: Job) -> None:
        """Say how the job stands now."""
        job.version += 1
        if self._topics.has_listeners(job.spec.topic):
            view = job.view(self._monotonic()).to_dict(text=False)
            self._topics.emit(job.spec.topic, {"type": "job", "job": view})

    def delta_soon(self, job: Job, now: float) -> None:
        """Send the new text now, or when the last piece is old enough."""
        if job.delta_timer is not None:
            return
        wait_s = job.last_delta_mono + DELTA_INTERVAL_S - now
        if wait_s <= 0:
            self.flush(job)
        else:
            job.delta_timer = self._loop.asyncio.call_later(wait_s, self.flush, job)

    def flush(self, job: Job) -> None:
        """Send all text that was not sent yet."""
        if job.delta_timer is not None:
            job.delta_timer.cancel()
            job.delta_timer = None
        if len(job.text) <= job.emitted_chars and len(job.probs) <= job.emitted_probs:
            return
        job.last_delta_mono = self._monotonic()
        event: Event = {
            "type": "delta",
            "at": job.emitted_chars,
            "text": job.text[job.emitted_chars :],
            "n": job.token_count,
        }
        if len(job.probs) > job.emitted_probs:
            event["probs"] = [asdict(prob) for prob in job.probs[job.emitted_probs :]]
        job.emitted_chars, job.emitted_probs = len(job.text), len(job.probs)
        self.send(job, event)

    def done(self, job: Job, *, unsaved: bool) -> None:
        """Say how the job ended. unsaved: its answer could not be stored yet."""
        self.send(
            job,
            {
                "type": "done",
                "state": job.state,
                "finish_reason": job.finish_reason,
                "usage": {
                    "prompt_tokens": job.prompt_tokens,
                    "completion_tokens": job.token_count,
                    "cached_tokens": job.cached_tokens,
                },
                "timings": asdict(job.parts[-1].timings) if job.parts else {},
                "error": dict(job.error) if job.error else None,
                "chars": len(job.text),
                "unsaved": unsaved,
            },
        )
