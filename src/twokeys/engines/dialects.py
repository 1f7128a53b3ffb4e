"""What servers other than llama.cpp's own differ in: /v1/chat/completions and each one's extras.

`OpenAiDialect` is the common ground; a subclass states only its differences. Such servers get
messages as text, so control tokens in a person's text are escaped by an invisible word joiner
(U+2060) after the first character: the model reads them as text, spelled a little differently.
llama.cpp itself, with exact tokens, is in `llamacpp`.
"""

import math
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from twokeys.engines.llamacpp import MIN_PROBABILITY, LlamaCppDialect, draw_seed
from twokeys.engines.openai_api import ModelServer
from twokeys.errors import CannotContinue, ContextExceeded, EngineRefused, Reason
from twokeys.token_estimate import estimate_prompt
from twokeys.types import (
    PARAMETERS,
    Candidate,
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
    TokenProb,
    Usage,
)

UNKNOWN_CONTEXT = 0
"""Context of a server that does not tell it; its own refusal is then the only check."""

_CONTROL = re.compile(
    r"<(?=\|[^|<>\s]{1,40}\|>|/?s>|(?:start|end)_of_turn>|/?(?:bos|eos|unk|pad)>)|\[(?=/?INST\])"
)


def escape_special_tokens(text: str) -> str:
    """Return `text` with a word joiner inside whatever looks like a control token."""
    return _CONTROL.sub(lambda match: match.group() + "\u2060", text)


class Dialect(Protocol):
    """What an engine asks of a server, whatever it is."""

    kind: str
    counts_exactly: bool

    async def describe(self) -> EngineInfo: ...
    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int: ...
    async def tokenize(self, text: str) -> list[int]: ...
    def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]: ...


@dataclass(slots=True)
class _Stream:
    """The state of one stream: what has come so far."""

    started_at: float
    first_at: float | None = None
    chars: int = 0
    deltas: int = 0
    reason: str | None = None
    matched: Any = None
    usage: Mapping[str, Any] = field(default_factory=dict)


class OpenAiDialect:
    """The parameters every OpenAI-compatible server knows, and nothing more."""

    kind = "openai"
    counts_exactly = False
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
    supports_prefill: ClassVar[bool] = False
    supports_ignore_eos: ClassVar[bool] = False

    def __init__(self, server: ModelServer, model: str) -> None:
        self.server = server
        self.model = model
        self._info: EngineInfo | None = None

    async def describe(self) -> EngineInfo:
        """Return what the server says of itself; asked once."""
        if self._info is None:
            context, build = await self.context(), await self.build()
            self._info = EngineInfo(
                self.kind, self.model, context, slots=1, build=build, supports_prefill=self.supports_prefill
            )
        return self._info

    async def context(self) -> int:
        """Return the tokens of prompt + answer, UNKNOWN_CONTEXT when the server does not tell."""
        return UNKNOWN_CONTEXT

    async def build(self) -> str:
        """Return the server's version, empty when it does not tell."""
        return ""

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        """Return the prompt's tokens; an estimate unless `counts_exactly`."""
        return estimate_prompt(messages, prefix)

    async def tokenize(self, text: str) -> list[int]:
        raise EngineRefused(status=501, reason=Reason("errors.reason.no_tokenizer", kind=self.kind))

    def extras(self, request: GenerationRequest) -> dict[str, Any]:
        """Return what this server needs in the body beside the common fields."""
        return {}

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. `request` has been cleaned. Raises EngineError subclasses."""
        if request.prefix and not self.supports_prefill:
            raise CannotContinue(model=self.model)
        stream = _Stream(time.monotonic(), chars=len(request.prefix))
        info = await self.describe()
        if self.counts_exactly and info.context:
            prompt = await self.count(request.messages, request.prefix)
            wanted = request.sampling.max_new_tokens
            if prompt + wanted > info.context:
                raise ContextExceeded(prompt_tokens=prompt, max_new_tokens=wanted, context=info.context)
        seed = draw_seed() if request.sampling.seed is None else request.sampling.seed
        yield Phase("prompt")
        async with aclosing(self.server.stream("/v1/chat/completions", self.body(request, seed))) as events:
            async for event in events:
                for out in _read(event, stream):
                    yield out
        if stream.reason is None:
            raise self.server.ended_early()
        yield self._finished(stream, request, seed, info)

    def body(self, request: GenerationRequest, seed: int) -> dict[str, Any]:
        """Return the body of a chat completion request."""
        turns = [{"role": m.role, "content": escape_special_tokens(m.content)} for m in request.messages]
        body: dict[str, Any] = {
            theirs: self.value(ours, getattr(request.sampling, ours)) for ours, theirs in self.params.items()
        }
        body |= {"model": self.model, "stream": True, "stream_options": {"include_usage": True}, "seed": seed}
        if not request.sampling.stop:
            body.pop("stop", None)
        if request.prefix:
            turns.append({"role": "assistant", "content": escape_special_tokens(request.prefix)})
        if request.n_probs:
            body |= {"logprobs": True, "top_logprobs": min(request.n_probs, 20)}
        if request.ignore_eos and self.supports_ignore_eos:
            body["ignore_eos"] = True
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": dict(request.json_schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | {"messages": turns} | self.extras(request)

    def value(self, name: str, value: Any) -> Any:
        """Return a parameter's value as this server spells it."""
        return list(value) if isinstance(value, tuple) else value

    def unsupported(self, request: GenerationRequest) -> tuple[str, ...]:
        """Return what was asked for and this server does not know."""
        missing = [name for name in _asked_for(request.sampling) if name not in self.params]
        if self.order is not None and request.sampling.order != self.order:
            missing.append("order")
        wishes = {
            "grammar": request.grammar is not None,
            "ignore_eos": request.ignore_eos and not self.supports_ignore_eos,
            "post_sampling_probs": request.post_sampling_probs and bool(request.n_probs),
            "slot": request.slot is not None,
        }
        return (*missing, *(name for name, wanted in wishes.items() if wanted))

    def _finished(self, stream: _Stream, request: GenerationRequest, seed: int, info: EngineInfo) -> Finished:
        ended_at = time.monotonic()
        usage = _usage(stream)
        decode_s = None if stream.first_at is None else ended_at - stream.first_at
        made = usage.completion_tokens - 1
        return Finished(
            reason=self.reason(stream, usage, request, info),
            usage=usage,
            timings=Timings(
                ttft_s=None if stream.first_at is None else stream.first_at - stream.started_at,
                total_s=ended_at - stream.started_at,
                decode_s=decode_s,
                tok_per_s=made / decode_s if decode_s and made > 0 else None,
            ),
            unsupported=self.unsupported(request),
            engine={
                "kind": info.kind,
                "model": info.model,
                "build": info.build,
                "context": info.context,
                "seed_sent": seed,
                "stop_string": stream.matched if isinstance(stream.matched, str) else None,
            },
        )

    def reason(
        self, stream: _Stream, usage: Usage, request: GenerationRequest, info: EngineInfo
    ) -> FinishReason:
        """Return our word for the server's finish reason."""
        if stream.reason == "length":
            full = info.context and usage.prompt_tokens + usage.completion_tokens >= info.context
            short = usage.completion_tokens < request.sampling.max_new_tokens
            return "context" if full and short else "length"
        if isinstance(stream.matched, str) and stream.matched in request.sampling.stop:
            return "stop_string"
        return "stop"


class VllmDialect(OpenAiDialect):
    """vLLM: more samplers, its own tokenizer endpoint, the context among the models."""

    kind = "vllm"
    counts_exactly = True
    order = "transformers"
    supports_prefill = True
    supports_ignore_eos = True
    params: ClassVar[Mapping[str, str]] = {
        **OpenAiDialect.params,
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repetition_penalty",
    }

    async def context(self) -> int:
        return int((await _model_entry(self.server, self.model)).get("max_model_len") or UNKNOWN_CONTEXT)

    async def build(self) -> str:
        told = await self.server.try_get("/version")
        return f"vLLM {told['version']}" if isinstance(told, dict) and "version" in told else ""

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        turns = [{"role": m.role, "content": escape_special_tokens(m.content)} for m in messages]
        turns += [{"role": "assistant", "content": escape_special_tokens(prefix)}] if prefix else []
        flags = {"add_generation_prompt": not prefix, "continue_final_message": bool(prefix)}
        told = await self.server.post("/tokenize", {"model": self.model, "messages": turns, **flags})
        return int(told["count"])

    async def tokenize(self, text: str) -> list[int]:
        body = {"model": self.model, "prompt": escape_special_tokens(text), "add_special_tokens": False}
        return [int(token) for token in (await self.server.post("/tokenize", body))["tokens"]]

    def value(self, name: str, value: Any) -> Any:
        return -1 if name == "top_k" and value == 0 else super().value(name, value)

    def extras(self, request: GenerationRequest) -> dict[str, Any]:
        if not request.prefix:
            return {}
        return {"add_generation_prompt": False, "continue_final_message": True}


class SglangDialect(VllmDialect):
    """SGLang: as vLLM, but it does not count messages and tells its context elsewhere."""

    kind = "sglang"
    counts_exactly = False

    async def context(self) -> int:
        listed = await super().context()
        told = None if listed else await self.server.try_get("/get_server_info")
        return int(told.get("context_length") or UNKNOWN_CONTEXT) if isinstance(told, dict) else listed

    async def build(self) -> str:
        told = await self.server.try_get("/get_server_info")
        return f"SGLang {told['version']}" if isinstance(told, dict) and "version" in told else "SGLang"

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        return await OpenAiDialect.count(self, messages, prefix)

    async def tokenize(self, text: str) -> list[int]:
        return await OpenAiDialect.tokenize(self, text)

    def extras(self, request: GenerationRequest) -> dict[str, Any]:
        return {"continue_final_message": True} if request.prefix else {}


class OllamaDialect(OpenAiDialect):
    """Ollama: cuts long prompts in silence, so the loaded context must be known."""

    kind = "ollama"
    order = "llama.cpp"
    supports_prefill = True

    async def context(self) -> int:
        """Return the context it runs with: of the loaded model, else the model file's num_ctx."""
        running = await self.server.try_get("/api/ps")
        for entry in running.get("models", ()) if isinstance(running, dict) else ():
            if self.model in (entry.get("name"), entry.get("model")) and entry.get("context_length"):
                return int(entry["context_length"])
        told = await self.server.post("/api/show", {"model": self.model})
        match = re.search(r"^num_ctx\s+(\d+)", told.get("parameters") or "", re.MULTILINE)
        return int(match.group(1)) if match else UNKNOWN_CONTEXT

    async def build(self) -> str:
        told = await self.server.try_get("/api/version")
        return f"Ollama {told['version']}" if isinstance(told, dict) and "version" in told else ""


class LmStudioDialect(OpenAiDialect):
    """LM Studio: llama.cpp behind its own API."""

    kind = "lmstudio"
    order = "llama.cpp"
    supports_prefill = True
    params: ClassVar[Mapping[str, str]] = {
        **OpenAiDialect.params,
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repeat_penalty",
    }

    async def context(self) -> int:
        told = await self.server.try_get(f"/api/v0/models/{self.model}")
        if not isinstance(told, dict):
            return UNKNOWN_CONTEXT
        return int(told.get("loaded_context_length") or told.get("max_context_length") or UNKNOWN_CONTEXT)

    async def build(self) -> str:
        return "LM Studio"


async def detect(server: ModelServer, model: str | None) -> Dialect:
    """Ask the server what it is and return its dialect.

    model None takes the first model it lists. Raises EngineUnreachable, or EngineRefused when the
    named model is not there or the server is no model server.
    """
    props = await server.try_get("/props")
    if isinstance(props, dict) and "default_generation_settings" in props:
        return LlamaCppDialect(server)
    entry = await _model_entry(server, model)
    name, owner = str(entry["id"]), str(entry.get("owned_by", ""))
    if owner == "vllm":
        return VllmDialect(server, name)
    if owner == "sglang" or await _has(server, "/get_model_info", "model_path"):
        return SglangDialect(server, name)
    if await _has(server, "/api/version", "version"):
        return OllamaDialect(server, name)
    if await _has(server, "/api/v0/models", "data"):
        return LmStudioDialect(server, name)
    return OpenAiDialect(server, name)


async def _has(server: ModelServer, path: str, key: str) -> bool:
    told = await server.try_get(path)
    return isinstance(told, dict) and key in told


async def _model_entry(server: ModelServer, model: str | None) -> dict[str, Any]:
    listing = await server.get("/v1/models")
    entries = [e for e in listing.get("data") or () if isinstance(e, dict) and "id" in e]
    if not entries:
        raise EngineRefused(status=404, reason=Reason("errors.reason.no_models"))
    if model is None:
        return entries[0]
    for entry in entries:
        if entry["id"] in (model, f"{model}:latest"):
            return entry
    known = ", ".join(str(entry["id"]) for entry in entries[:10])
    raise EngineRefused(status=404, reason=Reason("errors.reason.no_such_model", model=model, known=known))


def _read(event: Mapping[str, Any], stream: _Stream) -> list[EngineEvent]:
    if event.get("usage"):
        stream.usage = event["usage"]
    choices = event.get("choices") or ()
    if not choices:
        return []
    choice = choices[0]
    if choice.get("finish_reason"):
        stream.reason = choice["finish_reason"]
        stream.matched = choice.get("stop_reason", choice.get("matched_stop"))
    text = (choice.get("delta") or {}).get("content") or ""
    if not text:
        return []
    out: list[EngineEvent] = []
    if stream.first_at is None:
        stream.first_at = time.monotonic()
        out.append(Phase("generating"))
    probs = _chat_probs((choice.get("logprobs") or {}).get("content") or (), stream.chars)
    stream.chars += len(text)
    stream.deltas += max(1, len(probs))
    out.append(Delta(text, probs=probs))
    return out


def _chat_probs(told: Sequence[Mapping[str, Any]], at_char: int) -> tuple[TokenProb, ...]:
    """Read OpenAI's logprobs. Pieces of one character are shown with the token that completes it."""
    probs: list[TokenProb] = []
    open_bytes = b""
    for entry in told:
        raw = open_bytes + bytes(entry.get("bytes") or str(entry.get("token", "")).encode())
        try:
            text, open_bytes = raw.decode("utf-8"), b""
        except UnicodeDecodeError:
            text, open_bytes = "", raw
        others = entry.get("top_logprobs") or ()
        candidates = tuple(Candidate(str(o.get("token", "")), -1, _floor(o.get("logprob"))) for o in others)
        probs.append(TokenProb(text, -1, _floor(entry.get("logprob")), at_char, candidates))
        at_char += len(text)
    return tuple(probs)


def _floor(logprob: float | None) -> float:
    return max(float(logprob or 0.0), math.log(MIN_PROBABILITY))


def _usage(stream: _Stream) -> Usage:
    """Return the server's own counts; without them one token for each piece of text."""
    details = stream.usage.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=int(stream.usage.get("prompt_tokens") or 0),
        completion_tokens=int(stream.usage.get("completion_tokens") or stream.deltas),
        cached_tokens=int(details.get("cached_tokens") or 0),
    )


def _asked_for(sampling: Sampling) -> list[str]:
    """Return the parameters that are set to do something; the order of the samplers is not among them."""
    return [name for name in PARAMETERS if name != "order" and _has_effect(name, sampling)]


def _has_effect(name: str, sampling: Sampling) -> bool:
    parameter = PARAMETERS[name]
    on = getattr(sampling, name) != parameter.off
    return on and (parameter.needs is None or _has_effect(parameter.needs, sampling))
