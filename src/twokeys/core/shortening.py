"""Shorten what stands above: the model writes a summary of turns, a person reads, edits and takes it.

Nothing changes until it is taken; then the model reads it in place of those turns, which stay on the page
(`Conversations.shorten`). The request goes on from what the model reads anyway, so that the engine's prompt
cache serves it. A summary that is being written or waits to be taken lives in this process only.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twokeys.core.context import ContextPlan, ModelPrompt, build_prompt, with_summary
from twokeys.core.context_check import ContextCheck, refuse_count
from twokeys.core.conversations import Conversations, Turn
from twokeys.core.jobs import JobManager, JobSpec
from twokeys.core.metrics import is_chinese
from twokeys.core.ports import EngineSource
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.types import ChatMessage, Conversation, GenerationRequest, Message, Sampling

TEMPERATURE = 0.3
SHORTEST, LONGEST, SHARE = 96, 640, 0.25
"""A summary is given a quarter of the tokens it stands for, within these."""

ASK = {
    "zh": (
        "请把上面的全部对话概括成不超过 {words} 字的摘要，供之后接着聊时代替原文。保留：用户的要求和偏好、"
        "事实、数字、名字、已经作出的决定、还没有解决的问题。不要评论，不要客套，只写摘要本身。"
    ),
    "en": (
        "Summarise the whole conversation above in at most {words} words, to be read in its place when it "
        "goes on. Keep what the user asked for and prefers, facts, numbers, names, decisions made and "
        "questions still open. No comments, no greetings: write only the summary."
    ),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary on its way. job: the one that writes it. after: the last message it stands for.

    replaced_tokens: what stands above takes in the prompt now. tokens: of the summary as the engine counted
    them while it wrote. active: being written; cut: ended by its length. error: as a job has it.
    """

    job: str
    after: str
    text: str
    replaced_tokens: int
    tokens: int
    active: bool
    phase: str | None = None
    cut: bool = False
    seconds: float | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    job: str
    after: str
    replaced_tokens: int


class Shortening:
    """Summaries of conversations' histories. Thread-safe."""

    def __init__(
        self, conversations: Conversations, jobs: JobManager, engines: EngineSource, check: ContextCheck
    ) -> None:
        self._conversations = conversations
        self._jobs = jobs
        self._engines = engines
        self._check = check
        self._drafts: dict[str, _Draft] = {}
        self._lock = threading.Lock()

    def plan(self, conversation_id: str) -> ContextPlan:
        """Return what the next prompt would be read with; its `turns` are the finished ones, oldest first."""
        turn = self._conversations.shown(conversation_id)
        path = [message for message in turn.path if message.state not in ("queued", "streaming")]
        if path and path[-1].role == "user":
            path = path[:-1]
        return self._plan(path, _prompt(turn.conversation, path))

    def start(self, conversation_id: str, after: str) -> None:
        """Let the model write a summary of all it reads down to the message `after`.

        It takes the place of one that was on its way for this conversation. Raises NotFound, BadInput when
        an answer is still being written up there or the model reads nothing there, ContextExceeded when those
        turns and their summary do not fit together; what was on its way stays then.
        """
        turn = self._upto(conversation_id, after)
        if any(message.state in ("queued", "streaming") for message in turn.path):
            raise BadInput(reason=Reason("chat.refused.shorten_writing"))
        prompt = _prompt(turn.conversation, turn.path)
        if not prompt.used:
            raise BadInput(reason=Reason("chat.refused.shorten_nothing"))
        replaced = self._plan(turn.path, prompt).history_tokens
        request = summary_request(prompt.messages, replaced)
        refuse_count(
            self._check.count([request.messages]), request.sampling.max_new_tokens, self._check.context()
        )
        self.drop(conversation_id)

        async def prepare(engine: Engine) -> PlannedPart:
            return PlannedPart(request, await engine.info())

        view = self._jobs.start(JobSpec(f"shorten:{conversation_id}", self._engines.ready, prepare))
        with self._lock:
            self._drafts[conversation_id] = _Draft(view.id, after, replaced)

    def draft(self, conversation_id: str) -> Summary | None:
        """Return the summary on its way for a conversation, None where there is none."""
        draft = self._drafts.get(conversation_id)
        view = self._jobs.view(draft.job) if draft is not None else None
        if draft is None or view is None:
            return None
        return Summary(
            draft.job,
            draft.after,
            view.text.strip() if not view.active else view.text,
            draft.replaced_tokens,
            view.token_count,
            view.active,
            view.phase,
            view.finish_reason in ("length", "context"),
            view.token_count / view.tok_per_s if view.tok_per_s else None,
            view.error,
        )

    def stop(self, conversation_id: str) -> None:
        """Let the model write no more of it; what is there can be taken."""
        if (draft := self._drafts.get(conversation_id)) is not None:
            self._jobs.stop(draft.job)

    def drop(self, conversation_id: str) -> None:
        """Let go of the summary on its way."""
        self.stop(conversation_id)
        with self._lock:
            self._drafts.pop(conversation_id, None)

    def tokens_of(self, summary: str) -> int:
        """Return what a summary takes in the prompt, exactly where the engine runs."""
        return self._check.count_texts([with_summary("", summary)]).tokens[0]

    def take(self, conversation_id: str, summary: str) -> Callable[[], None]:
        """Let the model read the summary, as a person has left it; return what takes that back.

        Raises BadInput for one without text, NotFound where none was made or its place is gone.
        """
        draft = self._drafts.get(conversation_id)
        if draft is None:
            raise NotFound(kind="message", name=conversation_id)
        former = self._conversations.shorten(conversation_id, draft.after, summary)
        self.drop(conversation_id)
        return lambda: self._conversations.unshorten(conversation_id, draft.after, former)

    def _plan(self, path: Sequence[Message], prompt: ModelPrompt) -> ContextPlan:
        used = set(prompt.used)
        return self._check.plan(prompt, [message for message in path if message.id in used], SHORTEST)

    def _upto(self, conversation_id: str, after: str) -> Turn:
        turn = self._conversations.shown(conversation_id)
        places = [number for number, message in enumerate(turn.path) if message.id == after]
        if not places:
            raise NotFound(kind="message", name=after)
        return Turn(turn.conversation, turn.path[: places[0] + 1])


def _prompt(conversation: Conversation, path: Sequence[Message]) -> ModelPrompt:
    return build_prompt(path, conversation.settings.system_prompt, resets=conversation.resets)


def summary_request(messages: Sequence[ChatMessage], replaced_tokens: int) -> GenerationRequest:
    """Ask for a summary of a conversation, in the language of its questions.

    replaced_tokens: what its turns take; the summary may take a quarter of that.
    """
    language = "zh" if any(is_chinese(m.content) for m in messages if m.role == "user") else "en"
    tokens = min(LONGEST, max(SHORTEST, int(replaced_tokens * SHARE)))
    words = tokens if language == "zh" else int(tokens * 0.6)
    return GenerationRequest(
        messages=(*messages, ChatMessage("user", ASK[language].format(words=words // 10 * 10))),
        sampling=Sampling(temperature=TEMPERATURE, max_new_tokens=tokens),
    )
