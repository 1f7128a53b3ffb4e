"""Topics: who hears what. A topic is a conversation's or comparison's id, or ENGINE_TOPIC.

Subscribers get dicts, JSON-ready, in order, from the loop's thread:

    snapshot  {jobs: [view with text]}                      at the start
    job       {job: view without text}                      state, phase, progress, stall
    delta     {job, message, at, text, n, probs?}           new text from character `at`; ≤ 25/s a job
    guard     {job, message, event}
    decay     {job, message, decay: {series, downhill_at}}  when the line along the answer has grown
    notice    {job, message, error: {code, params} | None}  the text cannot be stored now / is stored again
    done      {job, message, state, finish_reason, usage, timings, error, chars, unsaved}
    changed   {}                                            messages changed: read again
    settings  {}                                            the conversation's settings changed
    meter     {memory_bytes, pid, …}                        topic "engine", every 2 s while listened to
    released  {before_bytes, after_bytes, freed_bytes}      topic "engine": memory was given back unasked

It knows no jobs: whoever owns them says what a snapshot holds.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from twokeys.core.loop import EngineLoop

log = logging.getLogger(__name__)

Event = dict[str, Any]
Callback = Callable[[Event], None]

ENGINE_TOPIC = "engine"
METER_INTERVAL_S = 2.0


class Topics:
    """Subscribers by topic. snapshot: the jobs of a topic, called on the loop. meter: what is measured."""

    def __init__(
        self,
        loop: EngineLoop,
        snapshot: Callable[[str], list[Event]],
        *,
        meter: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._loop = loop
        self._snapshot = snapshot
        self._meter = meter
        self._subscribers: dict[str, list[Callback]] = {}
        self._meter_task: asyncio.Task[None] | None = None

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Send a snapshot and then every event of the topic to `callback`, on the loop's thread.

        The callback must return quickly; one that raises is dropped. Returns the unsubscriber.
        """
        self._loop.call(self._add, topic, callback)
        return lambda: self._loop.call(self._remove, topic, callback)

    def publish(self, topic: str, event: Event) -> None:
        """Send an event, such as {"type": "changed"}, to a topic."""
        self._loop.call(self.emit, topic, event)

    def emit(self, topic: str, event: Event) -> None:
        """Send an event now. Only on the loop."""
        for callback in list(self._subscribers.get(topic, ())):
            self._deliver(topic, callback, event)

    def has_listeners(self, topic: str) -> bool:
        """Whether anybody listens to a topic. Only on the loop."""
        return topic in self._subscribers

    def _add(self, topic: str, callback: Callback) -> None:
        jobs = self._snapshot(topic)
        self._subscribers.setdefault(topic, []).append(callback)
        self._deliver(topic, callback, {"type": "snapshot", "jobs": jobs})
        if topic == ENGINE_TOPIC and (self._meter_task is None or self._meter_task.done()):
            self._meter_task = self._loop.create_task(self._send_meter())

    def _remove(self, topic: str, callback: Callback) -> None:
        listeners = self._subscribers.get(topic, [])
        if callback in listeners:
            listeners.remove(callback)
        if not listeners:
            self._subscribers.pop(topic, None)

    def _deliver(self, topic: str, callback: Callback, event: Event) -> None:
        try:
            callback(event)
        except Exception:
            log.exception("a subscriber of %s failed and was dropped", topic)
            self._remove(topic, callback)

    async def _send_meter(self) -> None:
        while self._subscribers.get(ENGINE_TOPIC):
            if self._meter is not None:
                try:
                    measured = await asyncio.to_thread(self._meter)
                except Exception:
                    log.exception("the memory meter failed")
                    measured = {}
                self.emit(ENGINE_TOPIC, {"type": "meter", **measured})
            await asyncio.sleep(METER_INTERVAL_S)
