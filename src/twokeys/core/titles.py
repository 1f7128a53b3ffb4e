"""Titles made by the model: when one is asked for, the request, and what is kept of its reply.

The request goes on from the conversation's own beginning, so the engine's prompt cache stays of use
for the conversation.
"""

import asyncio
import re
from collections.abc import Callable, Sequence

from twokeys.core.context import build_prompt, first_words
from twokeys.core.conversations import Conversations
from twokeys.core.jobs import JobManager, JobSpec, Outcome
from twokeys.core.ports import EngineSource
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine
from twokeys.types import ChatMessage, GenerationRequest, Sampling

TITLE_TOKENS = 24
IDLE_BEFORE_TITLE_S = 4.0
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LABEL = re.compile(r"^\s*(?:标题|题目|title)\s*[:：]\s*", re.IGNORECASE)
_WRAPPING = " \t\"'“”‘’「」『』《》*#`.。!！"


def title_request(messages: Sequence[ChatMessage]) -> GenerationRequest:
    """Ask for a short title in the language of the question."""
    chinese = any(_CHINESE.search(message.content) for message in messages if message.role == "user")
    ask = (
        "给上面的对话起一个标题，不超过 12 个字。只写标题本身。"
        if chinese
        else "Give this conversation a title of at most six words. Write only the title."
    )
    return GenerationRequest(
        messages=(*messages, ChatMessage("user", ask)),
        sampling=Sampling(temperature=0.2, max_new_tokens=TITLE_TOKENS, stop=("\n",)),
    )


def clean_title(reply: str) -> str:
    """Return a usable title, or "" when the reply is none."""
    line = next((line for line in reply.splitlines() if line.strip()), "")
    title = _LABEL.sub("", line).strip(_WRAPPING)
    return first_words(title, 40) if 2 <= len(title) <= 80 else ""


class Titles:
    """Lets the model title conversations once nothing else is to be written. wanted: whether it may."""

    def __init__(
        self,
        conversations: Conversations,
        jobs: JobManager,
        engines: EngineSource,
        *,
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._engines = engines
        self._wanted = wanted

    def after_first_answer(self, conversation_id: str) -> None:
        """Title a conversation that got its first answer, where the person wants that."""
        if self._wanted():
            self.retitle_when_idle(conversation_id)

    def retitle_when_idle(self, conversation_id: str) -> None:
        """Let the model title the conversation once nothing else is to be written."""
        self._jobs.loop.submit(self._title_later(conversation_id))

    async def _title_later(self, conversation_id: str) -> None:
        await self._jobs.idle()
        await asyncio.sleep(IDLE_BEFORE_TITLE_S)
        if self._jobs.views() or not self._engines.running():
            return
        turn = await asyncio.to_thread(self._conversations.shown, conversation_id)
        if turn.conversation.title_by != "first_words":
            return
        path = turn.path[:2]
        if len(path) < 2 or not path[1].content:
            return
        prompt = build_prompt(path, turn.conversation.settings.system_prompt)

        async def prepare(engine: Engine) -> PlannedPart:
            return PlannedPart(title_request(prompt.messages), await engine.info())

        def keep(outcome: Outcome) -> None:
            title = clean_title(outcome.text)
            if outcome.view.state == "done" and title:
                self._conversations.set_title_by_model(conversation_id, title)

        self._jobs.start(
            JobSpec(
                topic=f"title:{conversation_id}",
                engine=self._engines.ready,
                prepare=prepare,
                background=True,
                on_done=keep,
            )
        )
