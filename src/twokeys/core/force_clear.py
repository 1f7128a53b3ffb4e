"""Force clear: end the engine's process, so that the operating system takes its memory back.

At once by a person's hand, or after a finished answer where the conversation wants it so. Which
turns the model reads afterwards is written down by `conversations.py`.
"""

import logging
from dataclasses import asdict

from twokeys.core.context_check import ContextCheck
from twokeys.core.conversations import Conversations
from twokeys.core.jobs import JobManager
from twokeys.core.ports import EngineSource
from twokeys.core.topics import ENGINE_TOPIC
from twokeys.errors import EngineError
from twokeys.types import ReleaseReport

log = logging.getLogger(__name__)

RELEASE_TIMEOUT_S = 60.0
HOLD_TIMEOUT_S = 10.0


class ForceClear:
    """Ends the engine that answers. Thread-safe."""

    def __init__(
        self, conversations: Conversations, jobs: JobManager, engines: EngineSource, check: ContextCheck
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._engines = engines
        self._check = check

    def release(self, conversation_id: str | None, keep_history: bool = False) -> ReleaseReport:
        """Stop all writing, end the engine's process, reset the model's state of a conversation.

        keep_history: whether the conversation's next message is read with the turns so far. What is
        sent meanwhile waits and starts the engine again.
        """
        self._jobs.loop.run(self._jobs.hold(), HOLD_TIMEOUT_S)
        try:
            self._jobs.stop_all()
            report = self._jobs.loop.run(self._engines.release(), RELEASE_TIMEOUT_S)
        finally:
            self._jobs.loop.run(self._jobs.unhold(), HOLD_TIMEOUT_S)
        self._check.forget()
        if conversation_id is not None:
            self._conversations.mark_reset(conversation_id, keep_history)
        return report

    def release_when_idle(self) -> None:
        """End the engine's process as soon as nothing is written or queued."""
        self._jobs.loop.submit(self._release_when_idle())

    async def _release_when_idle(self) -> None:
        """Wait for quiet and release; nothing starts meanwhile."""
        await self._jobs.idle()
        await self._jobs.hold()
        try:
            if any(view.active for view in self._jobs.views()):
                self._jobs.loop.submit(self._release_when_idle())
                return
            report = await self._engines.release()
            self._check.forget()
            self._jobs.topics.publish(ENGINE_TOPIC, {"type": "released", **asdict(report)})
        except EngineError as error:
            log.warning("the engine was not cleared after an answer: %s", error)
        finally:
            await self._jobs.unhold()
