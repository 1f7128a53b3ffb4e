"""Whether a prompt fits, asked before anything is stored: the one home of counts and refusals.

Counts come from the engine when it runs and are estimated, and marked so, when it would have to be
started. The job counts again, exactly, when its turn has come; that check is the answers' business.
Knows no store.
"""

import asyncio
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from twokeys.core.context import (
    SHORTEST_ANSWER,
    ContextPlan,
    ModelPrompt,
    TurnCost,
    group_turns,
    plan_context,
    turn_title,
)
from twokeys.core.jobs import JobManager
from twokeys.core.ports import EngineSource
from twokeys.engine import Engine
from twokeys.errors import CannotContinue, ContextExceeded, EngineError, NotSupported, Reason
from twokeys.token_estimate import TOKENS_PER_MESSAGE, estimate_prompt, estimate_tokens
from twokeys.types import ChatMessage, EngineInfo, Message

log = logging.getLogger(__name__)

COUNT_TIMEOUT_S = 15.0
START_TIMEOUT_S = 60.0
STARTED_TIMEOUT_S = 600.0
"""A large model from a slow disk."""
ESTIMATE_DOUBT = 0.6
"""An estimated prompt is refused at once only when even this share of it does not fit."""

REMEMBERED_PLANS = 64
REMEMBERED_COUNTS = 4096

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class PromptCount:
    """The tokens of a prompt. exact False: estimated, no engine was running."""

    tokens: int
    exact: bool

    @property
    def at_least(self) -> int:
        """What the prompt has for sure."""
        return self.tokens if self.exact else int(self.tokens * ESTIMATE_DOUBT)


@dataclass(frozen=True, slots=True)
class TextCounts:
    """The tokens of several texts, in their order. exact False: estimated."""

    tokens: tuple[int, ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """The text that an answer has already, and its token ids where the next model shares them."""

    text: str = ""
    token_ids: tuple[int, ...] = ()


NOTHING_YET = Begun()


class ContextCheck:
    """Counts prompts for what would answer now. All methods may be called from any thread."""

    def __init__(self, jobs: JobManager, engines: EngineSource) -> None:
        self._jobs = jobs
        self._engines = engines
        self._plans: _Remembered[tuple[Hashable, ...], ContextPlan] = _Remembered(REMEMBERED_PLANS)
        self._token_counts: _Remembered[tuple[str, str, int], int] = _Remembered(REMEMBERED_COUNTS)

    # ---- counting ---------------------------------------------------------------------------

    def context(self) -> int:
        """Return how many tokens prompt and answer may have together, 0 when that is not known."""
        expected = self._engines.expected()
        return expected.context if expected is not None else 0

    def count(self, prompts: Iterable[Sequence[ChatMessage]], prefix: str = "") -> PromptCount:
        """Return the tokens of the largest of these prompts, each with the begun answer `prefix`."""
        every = list(prompts)
        largest = 0
        for messages in every:
            tokens = self._count_exactly(messages, prefix)
            if tokens is None:
                return PromptCount(max(estimate_prompt(messages, prefix) for messages in every), exact=False)
            largest = max(largest, tokens)
        return PromptCount(largest, exact=True)

    def count_texts(self, texts: Sequence[str], *, start: bool = False) -> "TextCounts":
        """Return the tokens of texts by themselves, as the running engine counts them, else estimated.

        start: start the engine for it. A server that does not count is estimated too.
        """
        engine = self._engines.current() if self._engines.running() else None
        if engine is None and start:
            engine = self._jobs.loop.run(self._started(), STARTED_TIMEOUT_S)
        if engine is None:
            return TextCounts(tuple(estimate_tokens(text) for text in texts), exact=False)
        model = self._model()
        keys = [(model, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), 0) for text in texts]
        new = {
            key: text for key, text in zip(keys, texts, strict=True) if self._token_counts.get(key) is None
        }
        counted: dict[tuple[str, str, int], int] = {}
        try:
            counts = self._jobs.loop.run(_tokens_of_each(engine, list(new.values())), COUNT_TIMEOUT_S)
        except (EngineError, TimeoutError) as error:
            log.info("texts were estimated, the engine did not count them: %s", error)
            return TextCounts(tuple(estimate_tokens(text) for text in texts), exact=False)
        counted.update(zip(new, counts, strict=True))
        for key, tokens in counted.items():
            self._token_counts.put(key, tokens)
        return TextCounts(
            tuple(counted[key] if key in counted else self._token_counts.get(key) or 0 for key in keys)
        )

    def warm_up(self) -> "Future[object] | None":
        """Begin to start the engine where it does not run; whoever asks it next is told what went wrong."""
        if self._engines.running() or self._engines.expected() is None:
            return None
        return self._jobs.loop.submit(self._started())

    def plan(
        self,
        prompt: ModelPrompt,
        history: Sequence[Message],
        max_new_tokens: int,
        begun: Begun = NOTHING_YET,
    ) -> ContextPlan:
        """Return whether the prompt and so long an answer fit; what the turns of `history` take in it."""
        context, model = self.context(), self._model()
        key = (model, context, prompt.messages, max_new_tokens, begun, self._engines.running())
        if (known := self._plans.get(key)) is not None:
            return known
        count = self.count([prompt.messages], "" if begun.token_ids else begun.text)
        plan = plan_context(
            context=context,
            prompt_tokens=count.tokens + len(begun.token_ids),
            max_new_tokens=max_new_tokens,
            turns=[self._cost(turn, model, count.exact) for turn in group_turns(history)],
            exact=count.exact,
        )
        self._plans.put(key, plan)
        return plan

    def forget(self) -> None:
        """Plan anew: the engine has ended."""
        self._plans.clear()

    # ---- refusing ---------------------------------------------------------------------------

    def refuse_without_engine(self) -> None:
        """Raise what stands in the way of any answer, such as ModelMissing, before storing one."""
        if self._engines.expected() is None and self._engines.current() is None:
            self._jobs.loop.run(self._engines.ready(), timeout_s=START_TIMEOUT_S)

    def refuse_without_prefill(self) -> None:
        """Raise CannotContinue when what answers would write a new answer instead of going on with one.

        Our own worker always can; a server is asked, once.
        """
        expected = self._engines.expected()
        if expected is None or not expected.local:
            check_prefill(self._jobs.loop.run(self._ask_engine(), START_TIMEOUT_S))

    def refuse_without_schema(self, begun: Begun) -> None:
        """Raise NotSupported when what answers cannot hold to a schema, or not behind a begun text."""
        expected = self._engines.expected()
        if expected is None or not expected.local:
            check_schema(self._jobs.loop.run(self._ask_engine(), START_TIMEOUT_S), begun)

    def refuse_overlong(self, plan: ContextPlan) -> None:
        """Raise ContextExceeded for what cannot fit. An estimate is in doubt: it must be far too long."""
        if not plan.fits:
            count = PromptCount(plan.prompt_tokens, plan.exact)
            refuse_count(count, plan.max_new_tokens, plan.context)

    def refuse_full(self, plan: ContextPlan) -> None:
        """Refuse to go on with a text that leaves no room for more; the job takes what room there is."""
        shortest = min(SHORTEST_ANSWER, plan.max_new_tokens)
        self.refuse_overlong(replace(plan, max_new_tokens=shortest))

    # ---- within -----------------------------------------------------------------------------

    async def _started(self) -> Engine:
        engine = await self._engines.ready()
        await engine.info()
        return engine

    async def _ask_engine(self) -> EngineInfo:
        return await (await self._engines.ready()).info()

    def _model(self) -> str:
        expected = self._engines.expected()
        return expected.model if expected is not None else ""

    def _count_exactly(self, messages: Sequence[ChatMessage], prefix: str) -> int | None:
        """Count with the running engine; None when it does not run or does not answer."""
        engine = self._engines.current()
        if engine is None or not self._engines.running() or not messages:
            return None
        try:
            return self._jobs.loop.run(engine.count_prompt(messages, prefix), COUNT_TIMEOUT_S)
        except (EngineError, TimeoutError) as error:
            log.info("prompt was estimated, the engine did not count it: %s", error)
            return None

    def _cost(self, turn: Sequence[Message], model: str, exact: bool) -> TurnCost:
        tokens = sum(self._tokens_of(message, model, exact) + TOKENS_PER_MESSAGE for message in turn)
        return TurnCost(turn[0].id, turn_title(turn), tokens, tuple(message.id for message in turn))

    def _tokens_of(self, message: Message, model: str, exact: bool) -> int:
        """Tokens of one stored message; counted once per model and remembered."""
        if message.token_ids:
            return len(message.token_ids)
        key = (model, message.id, len(message.content))
        if (known := self._token_counts.get(key)) is not None:
            return known
        engine = self._engines.current()
        if not exact or engine is None:
            return estimate_tokens(message.content)
        try:
            tokens = len(self._jobs.loop.run(engine.tokenize(message.content), COUNT_TIMEOUT_S))
        except (EngineError, TimeoutError):
            return estimate_tokens(message.content)
        self._token_counts.put(key, tokens)
        return tokens


async def _tokens_of_each(engine: Engine, texts: Sequence[str]) -> list[int]:
    ids = await asyncio.gather(*(engine.tokenize(text) for text in texts))
    return [len(token_ids) for token_ids in ids]


def check_prefill(info: EngineInfo) -> None:
    """Raise CannotContinue when the engine cannot go on from a begun answer."""
    if not info.supports_prefill:
        raise CannotContinue(model=info.model)


def check_schema(info: EngineInfo, begun: Begun) -> None:
    """Raise NotSupported when the engine cannot hold an answer, or one begun already, to a schema."""
    if not info.supports_schema:
        raise NotSupported(field="json_schema", reason=Reason("errors.reason.no_schema", kind=info.kind))
    if begun.text and not info.continues_schema:
        raise NotSupported(field="json_schema", reason=Reason("errors.reason.schema_begun", kind=info.kind))


def refuse_count(count: PromptCount, max_new_tokens: int, context: int) -> None:
    """Raise ContextExceeded when prompt and answer cannot fit; a context of 0 is not known: all fits."""
    if 0 < context < count.at_least + max_new_tokens:
        raise ContextExceeded(prompt_tokens=count.tokens, max_new_tokens=max_new_tokens, context=context)


class _Remembered(Generic[K, V]):
    """The latest values by key, at most so many; safe in several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._limit:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
