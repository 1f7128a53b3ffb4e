"""An engine that plays a script: for tests, demonstrations and a look at the screens.

It has no model and needs no memory, but keeps every rule of the protocol: validation, context
check, phases, finish reasons, cancelling, probabilities. Tokens follow a simple rule: a word, one
CJK character, a run of spaces, a line break or one other sign is one token.
"""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from twokeys.engines.llamacpp import draw_seed
from twokeys.engines.messages import clean_messages, clean_request, clean_text
from twokeys.errors import CannotContinue, ContextExceeded, TwoKeysError
from twokeys.types import (
    Answering,
    Candidate,
    ChatMessage,
    Delta,
    EngineEvent,
    EngineInfo,
    Finished,
    FinishReason,
    GenerationRequest,
    Phase,
    PromptProgress,
    ReleaseReport,
    Timings,
    TokenProb,
    Usage,
)

TOKENS_PER_MESSAGE = 4
_TOKEN = re.compile(r"[A-Za-z]+|[0-9]|[^\S\n]+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Say:
    """Write `text`, one token every `delay_s` seconds. logprob: of every token in it."""

    text: str
    delay_s: float = 0.0
    logprob: float = -0.1


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise the error."""

    error: TwoKeysError


@dataclass(frozen=True, slots=True)
class End:
    """Finish here, for this reason."""

    reason: FinishReason = "stop"


Step = Say | Stall | Fail | End
Script = Sequence[Step] | Callable[[GenerationRequest], Sequence[Step]]


def split_tokens(text: str) -> list[str]:
    """Return the tokens of `text` by the module's simple rule."""
    return _TOKEN.findall(text)


class ScriptedEngine:
    """Plays `script` at every request; a callable makes the script from the request.

    context: tokens of prompt + answer. prompt_s: how long reading the prompt pretends to take.
    start_s: how long the first start, and one after a release, takes. memory: bytes it pretends to
    hold while started. local, supports_prefill, supports_schema, build, template_sha256: what it says
    of itself, as a server of somebody else's might. clock: what its timings are taken with. `requests`
    keeps what was asked, oldest first.
    """

    counts_exactly = True

    def __init__(
        self,
        script: Script = (Say("Hello from the script."),),
        *,
        model: str = "scripted",
        context: int = 8192,
        slots: int = 1,
        start_s: float = 0.0,
        prompt_s: float = 0.0,
        memory: int = 0,
        local: bool = True,
        supports_prefill: bool = True,
        supports_schema: bool = True,
        build: str = "script",
        template_sha256: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.script = script
        self.requests: list[GenerationRequest] = []
        self._info = EngineInfo(
            "scripted",
            model,
            context,
            slots=slots,
            build=build,
            local=local,
            supports_prefill=supports_prefill,
            supports_schema=supports_schema,
            continues_schema=supports_schema,
            template_sha256=template_sha256,
        )
        self.clock = clock
        self._start_s = start_s
        self._prompt_s = prompt_s
        self._memory = memory
        self._ids: dict[str, int] = {}
        self._slots: dict[int, list[int]] = {}
        self._saved: dict[str, list[int]] = {}
        self._up = False
        self._phase: Phase | None = None

    @property
    def phase(self) -> Phase | None:
        """What a start under way is doing, None when none is."""
        return self._phase

    @property
    def running(self) -> bool:
        return self._up

    @property
    def pid(self) -> int | None:
        return None

    @property
    def description(self) -> EngineInfo:
        return self._info

    def expected(self) -> Answering:
        return Answering.by_engine(self._info)

    def memory_bytes(self) -> int:
        return self._memory if self._up else 0

    async def start(self) -> EngineInfo:
        if not self._up:
            self._phase = Phase("loading", 0.5)
            try:
                await asyncio.sleep(self._start_s)
            finally:
                self._phase = None
            self._up = True
        return self._info

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate."""
        request = clean_request(request)
        if request.prefix and not self._info.supports_prefill:
            raise CannotContinue(model=self._info.model)
        self.requests.append(request)
        if not self._up:
            yield Phase("starting")
            yield Phase("loading", 0.5)
            await self.start()
        run = _Run(self, request)
        yield Phase("prompt", 0.0)
        await asyncio.sleep(self._prompt_s)
        total = run.usage.prompt_tokens
        yield PromptProgress(total, run.usage.cached_tokens, total, self._prompt_s)
        yield Phase("generating")
        for step in self.script(request) if callable(self.script) else self.script:
            if isinstance(step, Fail):
                raise step.error
            if isinstance(step, Stall):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, End):
                yield run.finished(step.reason)
                return
            else:
                for piece in split_tokens(step.text):
                    await asyncio.sleep(step.delay_s)
                    yield run.delta(piece, step.logprob)
                    if run.full:
                        yield run.finished("length")
                        return
        yield run.finished("stop")

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        return len(self.prompt_ids(clean_messages(messages), clean_text(prefix)))

    async def tokenize(self, text: str) -> list[int]:
        return self.ids_of(clean_text(text))

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        return self.ids_of(json.dumps(list(tools))) + self.prompt_ids(clean_messages(messages), "")

    async def text_prompt(self, text: str, suffix: str | None = None) -> list[int]:
        return self.ids_of(clean_text(text) if suffix is None else f"{suffix}{text}")

    async def detokenize(self, ids: Sequence[int]) -> str:
        spelled = {token_id: piece for piece, token_id in self._ids.items()}
        return "".join(spelled.get(token_id, "\ufffd") for token_id in ids)

    async def info(self) -> EngineInfo:
        return await self.start()

    async def healthy(self) -> bool:
        return self._up

    async def release(self) -> ReleaseReport:
        before, self._up = self.memory_bytes(), False
        self._slots.clear()
        self._saved.clear()
        return ReleaseReport(before, 0, before)

    async def close(self) -> None:
        await self.release()

    def ids_of(self, text: str) -> list[int]:
        return [self._ids.setdefault(piece, len(self._ids)) for piece in split_tokens(text)]

    def prompt_ids(self, messages: Sequence[ChatMessage], prefix: str) -> list[int]:
        """Return the pretended prompt: negative ids stand for the turns' frames."""
        ids: list[int] = []
        for message in messages:
            ids += [-1] * TOKENS_PER_MESSAGE + self.ids_of(message.content)
        return ids + self.ids_of(prefix)

    def read_prompt(self, ids: list[int], slot: int | None) -> int:
        """Remember the prompt as read; return how many of its tokens were there already."""
        held = self._slots.get(slot or 0, [])
        same = next((i for i, (a, b) in enumerate(zip(ids, held, strict=False)) if a != b), None)
        cached = min(len(ids), len(held)) if same is None else same
        self._slots[slot or 0] = ids
        return cached

    async def save_slot(self, slot: int, name: str) -> int:
        """See LocalEngine.save_slot."""
        self._saved[name] = self._slots.get(slot, [])
        return len(self._saved[name])

    async def restore_slot(self, slot: int, name: str) -> int:
        """See LocalEngine.restore_slot."""
        self._slots[slot] = self._saved[name]
        return len(self._slots[slot])

    def forget_saved(self, name: str) -> None:
        """See LocalEngine.forget_saved."""
        self._saved.pop(name, None)


class _Run:
    """One playing of the script."""

    def __init__(self, engine: ScriptedEngine, request: GenerationRequest) -> None:
        self._engine = engine
        self._request = request
        self._info = engine.description
        self._started_at = engine.clock()
        self._first_at: float | None = None
        self._tokens = 0
        self._chars = len(request.prefix)
        self._limit = request.sampling.max_new_tokens
        prompt = list(request.prompt_ids) or engine.prompt_ids(request.messages, request.prefix)
        if len(prompt) + self._limit > self._info.context:
            raise ContextExceeded(
                prompt_tokens=len(prompt), max_new_tokens=self._limit, context=self._info.context
            )
        self.usage = Usage(len(prompt), 0, engine.read_prompt(prompt, request.slot))

    @property
    def full(self) -> bool:
        return self._tokens >= self._limit

    def delta(self, piece: str, logprob: float) -> Delta:
        if self._first_at is None:
            self._first_at = self._engine.clock()
        token_id = self._engine.ids_of(piece)[0]
        probs: tuple[TokenProb, ...] = ()
        if self._request.n_probs:
            # the others are as likely, as far as there is room for them
            room = min(self._request.n_probs, int(math.exp(-logprob)))
            others = (
                Candidate(piece, token_id, logprob),
                *(Candidate(f"{piece}{number}", -2 - number, logprob) for number in range(1, room)),
            )
            probs = (TokenProb(piece, token_id, logprob, self._chars, others),)
        self._tokens += 1
        self._chars += len(piece)
        return Delta(piece, (token_id,), probs)

    def finished(self, reason: FinishReason) -> Finished:
        now = self._engine.clock()
        sampling = self._request.sampling
        seed = draw_seed() if sampling.seed is None else sampling.seed
        decode_s = now - (self._first_at or now)
        return Finished(
            reason=reason,
            usage=Usage(self.usage.prompt_tokens, self._tokens, self.usage.cached_tokens),
            timings=Timings(
                ttft_s=None if self._first_at is None else self._first_at - self._started_at,
                total_s=now - self._started_at,
                decode_s=decode_s,
                tok_per_s=self._tokens / decode_s if decode_s > 0 else None,
            ),
            sampling_used=sampling.with_(seed=seed).to_dict(),
            engine={
                "kind": "scripted",
                "model": self._info.model,
                "context": self._info.context,
                "local": True,
            },
        )
