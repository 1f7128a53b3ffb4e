"""Lets the job manager write what a program asked for: one queue with the chat, one guard, one plan.

A person's message goes before a program's. Whoever goes away frees the slot. Keeps nothing unless
the request says `store`.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokeys.api.asked import Asked
from twokeys.api.errors import RETRY_AFTER_S, ApiError, stored_error
from twokeys.core.guard import Guard, GuardSettings
from twokeys.core.jobs import JobSpec, Outcome
from twokeys.core.provenance import Part
from twokeys.engine import Engine
from twokeys.errors import ContextExceeded
from twokeys.ids import new_id
from twokeys.types import Candidate, ChatMessage, GenerationRequest, Message, Settings, TokenProb

if TYPE_CHECKING:
    from twokeys.services import Services

MAX_WAITING = 32
REMEMBERED = 100
TOPIC = "api"
"""What happens to requests, for the page that lists them."""


@dataclass(frozen=True, slots=True)
class Piece:
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


async def write(services: "Services", asked: Asked, seen: Seen) -> AsyncGenerator[Piece | Ended, None]:
    """Yield the text of every choice as it is written, one choice after another, and their ends.

    The prompt is read once: the engine's cache has it for the second choice. Closing the generator
    stops what is being written. Raises ApiError.
    """
    message = await asyncio.to_thread(_keep_question, services, asked, seen) if asked.store else None
    for index in range(asked.choices):
        async with aclosing(_write_choice(services, asked, seen, index, message)) as pieces:
            async for piece in pieces:
                yield piece


async def _write_choice(
    services: "Services", asked: Asked, seen: Seen, index: int, message: Message | None
) -> AsyncGenerator[Piece | Ended, None]:
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[dict[str, Any] | Outcome] = asyncio.Queue()

    def hear(event: dict[str, Any] | Outcome) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, event)

    topic = f"api-{seen.id}-{index}"
    unsubscribe = services.jobs.topics.subscribe(topic, hear)
    spec = JobSpec(
        topic=topic,
        engine=services.engines.ready,
        prepare=lambda engine: _prepare(engine, asked, index),
        message=message if index == 0 else None,
        watcher=Guard(GuardSettings.from_dict(asked.guard), asked.question),
        keep_probs=asked.n_probs > 0,
        on_done=hear,
        for_program=True,
    )
    job = await asyncio.to_thread(services.jobs.start, spec)
    outcome: Outcome | None = None
    try:
        told = 0
        while outcome is None:
            event = await heard.get()
            if isinstance(event, Outcome):
                outcome = event
                break
            if event["type"] != "delta":
                continue
            seen.state, seen.tokens = "writing", event["n"]
            told = event["at"] + len(event["text"])
            yield Piece(index, event["text"], _probs(event.get("probs", ())))
        if outcome.view.error is not None:
            raise stored_error(outcome.view.error)
        if len(outcome.text) > told:
            yield Piece(index, outcome.text[told:])
        seen.tokens = outcome.view.token_count
        yield Ended(index, outcome)
    finally:
        unsubscribe()
        if outcome is None:
            services.jobs.stop(job.id)


async def _prepare(engine: Engine, asked: Asked, index: int) -> Part:
    """Count the prompt and make the request. Raises ContextExceeded."""
    info = await engine.info()
    tokens = await engine.count_prompt(asked.messages)
    sampling = asked.sampling
    if info.context > 0:
        room = info.context - tokens
        if room < 1 or (asked.length_set and sampling.max_new_tokens > room):
            raise ContextExceeded(
                prompt_tokens=tokens, max_new_tokens=sampling.max_new_tokens, context=info.context
            )
        sampling = sampling.with_(max_new_tokens=min(sampling.max_new_tokens, room))
    if index and sampling.seed is not None:
        sampling = sampling.with_(seed=sampling.seed + index)
    request = GenerationRequest(
        asked.messages, sampling, n_probs=asked.n_probs, json_schema=asked.json_schema
    )
    preset = asked.choice.preset.name if asked.choice.preset is not None else None
    return Part(request, info, tokens, True, {"preset": preset, "kind": "api"})


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


def _keep_question(services: "Services", asked: Asked, seen: Seen) -> Message:
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
    stored = Message(new_id(), conversation_id, parent, message.role, message.content, time.time())
    return services.repository.add_message(stored)


def _first_words(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 40 else words[:40] + "…"


async def heartbeats(
    pieces: AsyncIterator[Piece | Ended], every_s: float
) -> AsyncGenerator[Piece | Ended | None, None]:
    """Yield the pieces, and None whenever none has come for so long."""
    reading = aiter(pieces)
    following: asyncio.Task[Piece | Ended] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.ensure_future(_following(reading))
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


async def _following(reading: AsyncIterator[Piece | Ended]) -> Piece | Ended:
    try:
        return await anext(reading)
    except StopAsyncIteration:
        raise _AllRead from None


class _AllRead(Exception):
    """There are no more pieces: StopAsyncIteration cannot leave a task."""
