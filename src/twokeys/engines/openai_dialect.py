"""The common ground of servers that are not llama.cpp's own: /v1/chat/completions.

Such servers get messages as text, so control tokens in a person's text are escaped by an invisible
word joiner (U+2060) after the first character: the model reads them as text, spelled a little
differently. What single servers do otherwise is in `dialects`.
"""

import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Protocol

from twokeys.engines.capabilities import Capabilities
from twokeys.engines.chat_stream import THOUGHT, ChatStream, read_chat_event
from twokeys.engines.llamacpp import draw_seed
from twokeys.engines.openai_api import ModelServer
from twokeys.engines.special_tokens import escape_special_tokens
from twokeys.engines.stop_strings import StopStrings
from twokeys.errors import CannotContinue, ContextExceeded, EngineRefused, NotSupported, Reason
from twokeys.token_estimate import estimate_prompt
from twokeys.types import (
    PARAMETERS,
    ChatMessage,
    Delta,
    EngineEvent,
    EngineInfo,
    Finished,
    FinishReason,
    GenerationRequest,
    Phase,
    Sampling,
    Timings,
    Usage,
)

UNKNOWN_CONTEXT = 0
"""Context of a server that does not tell it; its own refusal is then the only check."""

MOST_LOGPROBS = 20
EVENTS_AFTER_STOP = 16
"""A server that was given the stop string ends by itself within so many events, and tells the usage."""


class Dialect(Protocol):
    """What an engine asks of a server, whatever it is."""

    kind: str
    counts_exactly: bool

    async def describe(self) -> EngineInfo: ...
    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int: ...
    async def tokenize(self, text: str) -> list[int]: ...
    def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]: ...


class OpenAiDialect:
    """The parameters every OpenAI-compatible server knows, and nothing more.

    order: in which the server applies its samplers, None when unknown. params: our names and the
    server's. probed: that it obeys its parameters is not known, and tried once where asked to.
    most_stop_strings: how many it takes; all are watched on our side as well.
    """

    kind = "openai"
    counts_exactly = False
    path: ClassVar[str] = "/v1/chat/completions"
    order: ClassVar[str | None] = None
    params: ClassVar[Mapping[str, str]] = {
        "temperature": "temperature",
        "max_new_tokens": "max_tokens",
        "top_p": "top_p",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "seed": "seed",
        "stop": "stop",
    }
    usual_slots: ClassVar[int] = 1
    most_stop_strings: ClassVar[int] = 4
    supports_prefill: ClassVar[bool] = False
    supports_ignore_eos: ClassVar[bool] = False
    supports_logprobs: ClassVar[bool] = True
    supports_schema: ClassVar[bool] = True
    supports_grammar: ClassVar[bool] = False
    probed: ClassVar[bool] = True

    def __init__(
        self,
        server: ModelServer,
        model: str,
        *,
        slots: int | None = None,
    ) -> None:
        self.server = server
        self.model = model
        self.slots = slots or self.usual_slots
        self._capabilities: Capabilities | None = None
        self._info: EngineInfo | None = None

    def try_with(self, capabilities: Capabilities) -> None:
        """Find out what the server obeys, where that is not known, and remember it there."""
        if self.probed:
            self._capabilities = capabilities

    async def describe(self) -> EngineInfo:
        """Return what the server says of itself; asked once."""
        if self._info is None:
            context, build = await self.context(), await self.build()
            self._info = EngineInfo(
                self.kind,
                self.model,
                context,
                slots=self.slots,
                build=build,
                supports_prefill=self.supports_prefill,
                supports_schema=self.supports_schema,
            )
        return self._info

    async def context(self) -> int:
        """Return the tokens of prompt + answer, UNKNOWN_CONTEXT when the server does not tell."""
        return UNKNOWN_CONTEXT

    async def build(self) -> str:
        """Return the server's version, empty when it does not tell."""
        return ""

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        """Return the prompt's tokens; an estimate on the safe side unless `counts_exactly`."""
        return estimate_prompt(messages, prefix)

    async def tokenize(self, text: str) -> list[int]:
        raise EngineRefused(status=501, reason=Reason("errors.reason.no_tokenizer", kind=self.kind))

    def extras(self, request: GenerationRequest) -> dict[str, object]:
        """Return what this server needs in the body beside the common fields."""
        return {}

    # ---- one answer ---------------------------------------------------------------------------

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. `request` has been cleaned. Raises EngineError subclasses."""
        if request.prefix and not self.supports_prefill:
            raise CannotContinue(model=self.model)
        if request.prefix and request.json_schema is not None:
            # its grammar would begin anew behind the begun answer
            raise NotSupported(
                field="json_schema", reason=Reason("errors.reason.schema_begun", kind=self.kind)
            )
        stream = ChatStream(chars=len(request.prefix))
        info = await self.describe()
        await self._refuse_overlong(request, info)
        seed = draw_seed() if request.sampling.seed is None else request.sampling.seed
        yield Phase("prompt")
        stops, text = StopStrings(request.sampling.stop, stream.chars), ""
        async with aclosing(self._events(request, seed, stream, stops)) as events:
            async for event in events:
                if isinstance(event, Delta) and request.json_schema is not None:
                    text += event.text
                yield event
        if stream.reason is None and stops.met is None:
            raise self.server.ended_early()
        for delta in stops.flush():
            yield delta
        unsupported = [*self.unsupported(request), *_not_given(request, stream, text)]
        unsupported += await self._tried_in_vain(request.sampling)
        yield await self._finished(stream, stops, request, seed, info, tuple(dict.fromkeys(unsupported)))

    async def _events(
        self, request: GenerationRequest, seed: int, stream: ChatStream, stops: StopStrings
    ) -> AsyncGenerator[EngineEvent, None]:
        """Yield what is shown of the server's stream, cut before the first stop string."""
        sent = request.sampling.stop[: self.most_stop_strings]
        patience = EVENTS_AFTER_STOP
        async with aclosing(self.server.stream(self.path, self.body(request, seed))) as events:
            async for event in events:
                for out in self.read(event, stream):
                    if not isinstance(out, Delta):
                        yield out
                        continue
                    for delta in stops.feed(out):
                        yield delta
                if stops.met is not None:
                    patience -= 1
                    if stops.met not in sent or patience <= 0:
                        return

    def read(self, event: Mapping[str, object], stream: ChatStream) -> list[EngineEvent]:
        """Return what one event of the stream says."""
        return read_chat_event(event, stream)

    def body(self, request: GenerationRequest, seed: int) -> dict[str, Any]:
        """Return the body of a chat completion request."""
        body: dict[str, Any] = {"model": self.model, "stream": True, "messages": self.turns(request)}
        body |= self.parameters(request.sampling, seed)
        body["stream_options"] = {"include_usage": True}
        if request.n_probs and self.supports_logprobs:
            body |= {"logprobs": True, "top_logprobs": min(request.n_probs, MOST_LOGPROBS)}
        if request.ignore_eos and self.supports_ignore_eos:
            body["ignore_eos"] = True
        if request.json_schema is not None and self.supports_schema:
            schema = {"name": "answer", "schema": dict(request.json_schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | self.extras(request)

    def turns(self, request: GenerationRequest) -> list[dict[str, str]]:
        """Return the messages and the begun answer, without control tokens in them."""
        turns = [{"role": m.role, "content": escape_special_tokens(m.content)} for m in request.messages]
        if request.prefix:
            turns.append({"role": "assistant", "content": escape_special_tokens(request.prefix)})
        return turns

    def parameters(self, sampling: Sampling, seed: int) -> dict[str, Any]:
        """Return the sampling parameters by the server's names."""
        values: dict[str, Any] = {
            theirs: self.value(ours, getattr(sampling, ours)) for ours, theirs in self.params.items()
        }
        values[self.params["seed"]] = seed
        if not sampling.stop:
            values.pop(self.params["stop"], None)
        return values

    def value(self, name: str, value: Any) -> Any:
        """Return a parameter's value as this server spells it."""
        return list(value)[: self.most_stop_strings] if name == "stop" else value

    # ---- its end ------------------------------------------------------------------------------

    def unsupported(self, request: GenerationRequest) -> tuple[str, ...]:
        """Return what was asked for and this server does not know."""
        missing = [name for name in _asked_for(request.sampling) if name not in self.params]
        if self.order is not None and request.sampling.order != self.order:
            missing.append("order")
        lacking = {
            "n_probs": bool(request.n_probs) and not self.supports_logprobs,
            "json_schema": request.json_schema is not None and not self.supports_schema,
            "grammar": request.grammar is not None and not self.supports_grammar,
            "ignore_eos": request.ignore_eos and not self.supports_ignore_eos,
            "post_sampling_probs": request.post_sampling_probs and bool(request.n_probs),
        }
        return (*missing, *(name for name, is_lacking in lacking.items() if is_lacking))

    async def _tried_in_vain(self, sampling: Sampling) -> list[str]:
        """Return the parameters that the server takes and does not obey, as far as that was tried."""
        if self._capabilities is None:
            return []
        asked = [name for name in _asked_for(sampling) if name in self.params]
        return await self._capabilities.dropped(self, asked)

    async def _refuse_overlong(self, request: GenerationRequest, info: EngineInfo) -> None:
        if not (self.counts_exactly and info.context):
            return
        prompt = await self.count(request.messages, request.prefix)
        wanted = request.sampling.max_new_tokens
        if prompt + wanted > info.context:
            raise ContextExceeded(prompt_tokens=prompt, max_new_tokens=wanted, context=info.context)

    async def _finished(
        self,
        stream: ChatStream,
        stops: StopStrings,
        request: GenerationRequest,
        seed: int,
        info: EngineInfo,
        unsupported: tuple[str, ...],
    ) -> Finished:
        ended_at = time.monotonic()
        usage = stream.counted()
        if not usage.prompt_tokens:
            prompt = await self.count(request.messages, request.prefix)
            usage = Usage(prompt, usage.completion_tokens, usage.cached_tokens)
        decode_s = None if stream.first_at is None else ended_at - stream.first_at
        made = usage.completion_tokens - 1
        met = stops.met or (stream.matched if stream.matched in request.sampling.stop else None)
        return Finished(
            reason="stop_string" if met else self.reason(stream, usage, request, info),
            usage=usage,
            timings=Timings(
                ttft_s=None if stream.first_at is None else stream.first_at - stream.started_at,
                total_s=ended_at - stream.started_at,
                decode_s=decode_s,
                tok_per_s=made / decode_s if decode_s and made > 0 else None,
            ),
            unsupported=unsupported,
            engine={
                "kind": info.kind,
                "model": info.model,
                "build": info.build,
                "context": info.context,
                "seed_sent": None if "seed" in unsupported else seed,
                "order": self.order,
                "stop_string": met,
            },
        )

    def reason(
        self, stream: ChatStream, usage: Usage, request: GenerationRequest, info: EngineInfo
    ) -> FinishReason:
        """Return our word for the server's finish reason."""
        if stream.reason == "length":
            full = info.context and usage.prompt_tokens + usage.completion_tokens >= info.context
            short = usage.completion_tokens < request.sampling.max_new_tokens
            return "context" if full and short else "length"
        return "stop"


def _not_given(request: GenerationRequest, stream: ChatStream, text: str) -> list[str]:
    """Return what the answer itself shows to have been left out: probabilities, the schema."""
    dropped = []
    if request.n_probs and stream.deltas and not stream.probs_came:
        dropped.append("n_probs")
    if request.json_schema is not None and stream.reason == "stop" and not _is_json(text):
        dropped.append("json_schema")
    return dropped


def _is_json(text: str) -> bool:
    try:
        json.loads(text.rpartition(THOUGHT)[2])
    except ValueError:
        return False
    return True


def _asked_for(sampling: Sampling) -> list[str]:
    """Return the parameters that are set to do something; the order of the samplers is not among them."""
    return [name for name in PARAMETERS if name != "order" and _has_effect(name, sampling)]


def _has_effect(name: str, sampling: Sampling) -> bool:
    parameter = PARAMETERS[name]
    on = getattr(sampling, name) != parameter.off
    return on and (parameter.needs is None or _has_effect(parameter.needs, sampling))
