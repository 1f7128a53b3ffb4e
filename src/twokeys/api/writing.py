"""Lets the job manager write what a program asked for: one queue with the chat, one guard, one plan.

A person's message goes before a program's. Whoever goes away frees the slot. Keeps nothing unless
the request says `store`.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from twokeys.api.asked import AnswerRequest, ToolUse
from twokeys.api.errors import RETRY_AFTER_S, ApiError, stored_error
from twokeys.core.guard import Guard, GuardSettings
from twokeys.core.jobs import JobSpec, Outcome
from twokeys.core.provenance import PlannedPart
from twokeys.engine import Engine, PromptEngine, Startable
from twokeys.errors import BadParameter, ContextExceeded, NotSupported, Reason
from twokeys.ids import new_id
from twokeys.types import (
    BOUNDS,
    Candidate,
    ChatMessage,
    EngineInfo,
    GenerationRequest,
    Message,
    Role,
    Settings,
    TokenProb,
)

if TYPE_CHECKING:
    from twokeys.services import Services

MAX_WAITING = 32
REMEMBERED = 100
MAX_SEED = int(BOUNDS["seed"].high)
LOOK_S = 0.5
"""How often a request that waits looks whether a model is being loaded."""


@dataclass(frozen=True, slots=True)
class ChoiceDelta:
    """New text of one choice, with the probabilities of its tokens where they were asked for."""

    index: int
    text: str
    probs: tuple[TokenProb, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice is written; `outcome` has all that is known of it."""

    index: int
    outcome: Outcome


@dataclass(slots=True)
class Seen:
    """One request, as the list of requests shows it. Times in Unix seconds."""

    id: str
    program: str
    model: str
    began_at: float
    state: str = "waiting"
    tokens: int = 0
    ended_at: float | None = None


@dataclass(slots=True)
class Requests:
    """The requests that are being answered, and the last ones that were."""

    active: dict[str, Seen] = field(default_factory=dict)
    ended: deque[Seen] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def begin(self, program: str, model: str) -> Seen:
        """Note a request. Raises ApiError 429 when MAX_WAITING are waiting already."""
        if len(self.active) >= MAX_WAITING:
            raise ApiError(
                429,
                "queue_full",
                f"{MAX_WAITING} requests are being answered or waiting; try again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        seen = Seen(new_id(), program, model, time.time())
        self.active[seen.id] = seen
        return seen

    def end(self, seen: Seen, state: str) -> None:
        """Note that a request has been answered, refused or given up."""
        if self.active.pop(seen.id, None) is not None:
            seen.state, seen.ended_at = state, time.time()
            self.ended.appendleft(seen)

    def list(self) -> list[Seen]:
        """Return those being answered, then the last ended ones, the newest first."""
        return [*reversed(list(self.active.values())), *self.ended]


async def write(
    services: "Services", asked: AnswerRequest, seen: Seen, loading_wait_s: float
) -> AsyncGenerator[ChoiceDelta | Ended, None]:
    """Yield the text of every choice as it is written, one choice after another, and their ends.

    The prompt is read once: the engine's cache has it for the second choice. loading_wait_s: how long a
    model that is being loaded is waited for. Closing the generator stops what is being written. Raises
    ApiError.
    """
    message = await asyncio.to_thread(_keep_question, services, asked, seen) if asked.store else None
    for index in range(asked.answers):
        own = message if index == 0 else None
        async with aclosing(_write_choice(services, asked, seen, index, own, loading_wait_s)) as pieces:
            async for piece in pieces:
                yield piece


async def _write_choice(
    services: "Services",
    asked: AnswerRequest,
    seen: Seen,
    index: int,
    message: Message | None,
    loading_wait_s: float,
) -> AsyncGenerator[ChoiceDelta | Ended, None]:
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[dict[str, Any] | Outcome] = asyncio.Queue()

    def hear(event: dict[str, object] | Outcome) -> None:
        if isinstance(event, Outcome) or event["type"] == "delta":
            loop.call_soon_threadsafe(heard.put_nowait, event)

    exact = asked.sampling.seed is not None or asked.n_probs > 0
    topic = f"api-{seen.id}-{index}"
    unsubscribe = services.jobs.topics.subscribe(topic, hear)
    spec = JobSpec(
        topic=topic,
        engine=partial(services.engines.drafting, "off" if exact else "auto"),
        prepare=lambda engine: _prepare(engine, asked, index),
        message=message,
        watcher=Guard(
            GuardSettings.from_dict(asked.guard), asked.question, json_form=asked.json_schema is not None
        ),
        keep_probs=asked.n_probs > 0,
        on_done=hear,
        for_program=True,
    )
    # only what is stored makes a start wait; a change of threads would cost the first token its time
    job = services.jobs.start(spec) if message is None else await asyncio.to_thread(services.jobs.start, spec)
    outcome: Outcome | None = None
    waiting = _Waiting(services, loading_wait_s)
    try:
        sent = 0
        while outcome is None:
            event = await (heard.get() if sent else waiting.next_of(heard))
            if isinstance(event, Outcome):
                outcome = event
                break
            seen.state, seen.tokens = "writing", event["n"]
            sent = event["at"] + len(event["text"])
            yield ChoiceDelta(index, event["text"], _probs(event.get("probs", ())))
        if outcome.view.error is not None:
            raise stored_error(outcome.view.error)
        if len(outcome.text) > sent:
            yield ChoiceDelta(index, outcome.text[sent:])
        seen.tokens = outcome.view.token_count
        yield Ended(index, outcome)
    finally:
        unsubscribe()
        if outcome is None:
            services.jobs.stop(job.id)


class _Waiting:
    """Waits for a job's first words, but not for ever for a model that is being loaded."""

    def __init__(self, services: "Services", loading_wait_s: float) -> None:
        self._services = services
        self._loading_wait_s = loading_wait_s
        self._loading_since: float | None = None

    async def next_of(self, heard: "asyncio.Queue[dict[str, Any] | Outcome]") -> dict[str, Any] | Outcome:
        """Return what the job says next. Raises ApiError 503 with the progress of the load."""
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(heard.get(), min(LOOK_S, self._loading_wait_s))
            self._look()

    def _look(self) -> None:
        engine = self._services.engines.current()
        phase = engine.phase if isinstance(engine, Startable) else None
        if phase is None:
            self._loading_since = None
            return
        now = time.monotonic()
        if self._loading_since is None:
            self._loading_since = now
        if now - self._loading_since >= self._loading_wait_s:
            share = "" if phase.progress is None else f" ({phase.progress:.0%})"
            raise ApiError(
                503,
                "model_loading",
                f"The model is being loaded{share}; try again in a moment.",
                retry_after_s=RETRY_AFTER_S,
                details={"phase": phase.name, "progress": phase.progress},
            )


async def _prompt_ids(engine: Engine, asked: AnswerRequest, index: int, info: EngineInfo) -> tuple[int, ...]:
    """Return the ids of a prompt that is no plain conversation, none for one that is."""
    if not asked.texts and asked.tools is None:
        return ()
    field_name = "prompt" if asked.texts else "tools"
    if not isinstance(engine, PromptEngine):
        raise NotSupported(field=field_name, reason=Reason("errors.reason.no_prompt_ids", kind=info.kind))
    if asked.tools is not None:
        return tuple(await engine.tool_prompt(asked.messages, asked.tools.tools))
    prompt = asked.texts[index // asked.choices]
    if not prompt.ids:
        return tuple(await engine.text_prompt(prompt.text, prompt.suffix))
    check_ids(prompt.ids, info, "prompt")
    return prompt.ids


def check_ids(ids: Sequence[int], info: EngineInfo, field_name: str) -> None:
    """Raise BadParameter for a token that the model has not."""
    beyond = next((number for number in ids if info.vocabulary and number >= info.vocabulary), None)
    if beyond is not None:
        raise BadParameter(field=field_name, value=beyond, allowed=f"0 … {info.vocabulary - 1}")


async def _prepare(engine: Engine, asked: AnswerRequest, index: int) -> PlannedPart:
    """Count the prompt and make the request. Raises ContextExceeded."""
    info = await engine.info()
    ids = await _prompt_ids(engine, asked, index, info)
    tokens = len(ids) or await engine.count_prompt(asked.messages)
    sampling = asked.sampling
    if info.context > 0:
        room = info.context - tokens
        if room < 1 or (asked.length_set and sampling.max_new_tokens > room):
            raise ContextExceeded(
                prompt_tokens=tokens, max_new_tokens=sampling.max_new_tokens, context=info.context
            )
        sampling = sampling.with_(max_new_tokens=min(sampling.max_new_tokens, room))
    if sampling.seed is not None:
        sampling = sampling.with_(seed=(sampling.seed + index % asked.choices) % (MAX_SEED + 1))
    tools = asked.tools or ToolUse()
    request = GenerationRequest(
        asked.messages,
        sampling,
        prompt_ids=ids,
        n_probs=asked.n_probs,
        json_schema=asked.json_schema,
        grammar=tools.grammar,
        grammar_from=tools.starts_at,
    )
    preset = asked.choice.preset.name if asked.choice.preset is not None else None
    return PlannedPart(request, info, tokens, True, {"preset": preset, "kind": "api"})


def _probs(rows: Any) -> tuple[TokenProb, ...]:
    return tuple(
        TokenProb(
            row["text"],
            row["token_id"],
            row["logprob"],
            row.get("start", 0),
            tuple(Candidate(**candidate) for candidate in row.get("alternatives", ())),
        )
        for row in rows
    )


def _keep_question(services: "Services", asked: AnswerRequest, seen: Seen) -> Message:
    """Store the messages as a conversation with the program's name; return its answer, still empty."""
    system = "".join(m.content for m in asked.messages if m.role == "system")
    preset = asked.choice.preset.name if asked.choice.preset is not None else None
    settings = Settings(sampling=asked.sampling, system_prompt=system, preset=preset)
    conversation = services.conversations.new(
        settings, title=f"{seen.program}: {_first_words(asked.question)}"
    )
    parent: str | None = None
    for message in asked.messages:
        if message.role != "system":
            parent = _add(services, conversation.id, parent, message).id
    return Message(new_id(), conversation.id, parent, "assistant", "", time.time())


def _add(services: "Services", conversation_id: str, parent: str | None, message: ChatMessage) -> Message:
    role: Role = "user" if message.role == "tool" else message.role
    stored = Message(new_id(), conversation_id, parent, role, message.content, time.time())
    return services.repository.add_message(stored)


def _first_words(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 40 else words[:40] + "…"


async def heartbeats(
    pieces: AsyncIterator[ChoiceDelta | Ended], every_s: float
) -> AsyncGenerator[ChoiceDelta | Ended | None, None]:
    """Yield the pieces, and None whenever none has come for so long."""
    source = aiter(pieces)
    following: asyncio.Task[ChoiceDelta | Ended] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.ensure_future(_following(source))
            done, _ = await asyncio.wait({following}, timeout=every_s)
            if not done:
                yield None
                continue
            try:
                piece = following.result()
            except _AllRead:
                return
            finally:
                following = None
            yield piece
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait({following})


async def _following(source: AsyncIterator[ChoiceDelta | Ended]) -> ChoiceDelta | Ended:
    try:
        return await anext(source)
    except StopAsyncIteration:
        raise _AllRead from None


class _AllRead(Exception):
    """There are no more pieces: StopAsyncIteration cannot leave a task."""
