"""What single servers differ in: vLLM, SGLang, Ollama, LM Studio, transformers serve; and which one it is.

Each class states only its differences from `OpenAiDialect`. What was tried against the real server and
what is written from its documentation stands in docs/servers.md. llama.cpp itself is in `llamacpp`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from twokeys.engines.chat_stream import ChatStream
from twokeys.engines.llamacpp import LlamaCppDialect
from twokeys.engines.openai_api import ModelServer
from twokeys.engines.openai_dialect import (
    MOST_LOGPROBS,
    UNKNOWN_CONTEXT,
    Dialect,
    OpenAiDialect,
)
from twokeys.engines.special_tokens import escape_special_tokens
from twokeys.errors import EngineRefused, Reason
from twokeys.types import ChatMessage, EngineEvent, EngineInfo, GenerationRequest, Sampling

__all__ = ["Dialect", "detect"]

COMPLETE_LISTS = ("vllm", "sglang")
"""Owners of models whose servers list every model they would answer with."""
SERVED = "default"
"""Stands for the one model that `transformers serve MODEL` answers with, whatever name it is asked for."""


class VllmDialect(OpenAiDialect):
    """vLLM: more samplers, its own tokenizer endpoint, the context among the models, batches."""

    kind = "vllm"
    counts_exactly = True
    order = "transformers"
    usual_slots = 8
    supports_prefill = True
    supports_ignore_eos = True
    supports_grammar = True
    probed = False
    params: ClassVar[Mapping[str, str]] = {
        **OpenAiDialect.params,
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repetition_penalty",
    }

    async def context(self) -> int:
        return int((await _model_entry(self.server, self.model)).get("max_model_len") or UNKNOWN_CONTEXT)

    async def build(self) -> str:
        version = await _field(self.server, "/version", "version")
        return f"vLLM {version}" if version else ""

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        turns = self.turns(GenerationRequest(tuple(messages), Sampling(), prefix))
        flags = {"add_generation_prompt": not prefix, "continue_final_message": bool(prefix)}
        answer = await self.server.post("/tokenize", {"model": self.model, "messages": turns, **flags})
        return int(answer["count"])

    async def tokenize(self, text: str) -> list[int]:
        body = {"model": self.model, "prompt": escape_special_tokens(text), "add_special_tokens": False}
        return [int(token) for token in (await self.server.post("/tokenize", body))["tokens"]]

    def value(self, name: str, value: object) -> Any:
        return -1 if name == "top_k" and value == 0 else super().value(name, value)

    def extras(self, request: GenerationRequest) -> dict[str, object]:
        extras: dict[str, object] = {}
        if request.prefix:
            extras |= {"add_generation_prompt": False, "continue_final_message": True}
        if request.n_probs:
            extras["return_token_ids"] = True
        if request.grammar is not None:  # versions before 0.12 know the second name only; none knows both
            extras |= {"structured_outputs": {"grammar": request.grammar}, "guided_grammar": request.grammar}
        return extras


class SglangDialect(VllmDialect):
    """SGLang: as vLLM, but its context and version stand elsewhere, and a seed may do nothing."""

    kind = "sglang"
    counts_exactly = False
    deterministic = True

    async def context(self) -> int:
        info = await _first(self.server, "/server_info", "/get_server_info")
        self.deterministic = bool(info.get("enable_deterministic_inference", True))
        listed = await super().context()
        return listed or int(info.get("context_length") or UNKNOWN_CONTEXT)

    async def build(self) -> str:
        info = await _first(self.server, "/server_info", "/get_server_info")
        return f"SGLang {info['version']}" if "version" in info else "SGLang"

    async def count(self, messages: Sequence[ChatMessage], prefix: str) -> int:
        try:
            return await super().count(messages, prefix)
        except EngineRefused:  # versions that tokenize texts only
            return await OpenAiDialect.count(self, messages, prefix)

    def extras(self, request: GenerationRequest) -> dict[str, object]:
        extras: dict[str, object] = {"continue_final_message": True} if request.prefix else {}
        return extras | ({} if request.grammar is None else {"ebnf": request.grammar})

    def unsupported(self, request: GenerationRequest) -> tuple[str, ...]:
        seeded = request.sampling.seed is not None and request.sampling.temperature > 0
        lost = ("seed",) if seeded and not self.deterministic else ()
        return (*super().unsupported(request), *lost)


class OllamaDialect(OpenAiDialect):
    """Ollama by its own API, which keeps the sampling that its /v1 leaves out.

    It cuts long prompts in silence, so the loaded context must be known; it is, once a model is loaded.
    """

    kind = "ollama"
    path = "/api/chat"
    order = "llama.cpp"
    most_stop_strings = 16
    supports_prefill = True
    params: ClassVar[Mapping[str, str]] = {
        **OpenAiDialect.params,
        "max_new_tokens": "num_predict",
        "top_k": "top_k",
        "min_p": "min_p",
        "typical_p": "typical_p",
        "repetition_penalty": "repeat_penalty",
    }

    async def describe(self) -> EngineInfo:
        if self._info is not None and self._info.context == UNKNOWN_CONTEXT:
            self._info = None
        return await super().describe()

    async def context(self) -> int:
        """Return the context it runs with: of the loaded model, else the model file's num_ctx."""
        running = await self.server.try_get("/api/ps")
        for entry in running.get("models", ()) if isinstance(running, dict) else ():
            if self.model in (entry.get("name"), entry.get("model")) and entry.get("context_length"):
                return int(entry["context_length"])
        shown = await self.server.post("/api/show", {"model": self.model})
        match = re.search(r"^num_ctx\s+(\d+)", shown.get("parameters") or "", re.MULTILINE)
        return int(match.group(1)) if match else UNKNOWN_CONTEXT

    async def build(self) -> str:
        version = await _field(self.server, "/api/version", "version")
        return f"Ollama {version}" if version else ""

    def body(self, request: GenerationRequest, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "stream": True, "messages": self.turns(request)}
        body["options"] = self.parameters(request.sampling, seed)
        if request.n_probs:
            body |= {"logprobs": True, "top_logprobs": min(request.n_probs, MOST_LOGPROBS)}
        return body | ({} if request.json_schema is None else {"format": dict(request.json_schema)})

    def read(self, event: Mapping[str, Any], stream: ChatStream) -> list[EngineEvent]:
        if event.get("done"):
            stream.reason = event.get("done_reason") or "stop"
            counts = {"prompt_tokens": "prompt_eval_count", "completion_tokens": "eval_count"}
            stream.usage = {ours: event.get(theirs) for ours, theirs in counts.items()}
        message, entries = event.get("message") or {}, event.get("logprobs") or ()
        if message.get("thinking"):
            return [*stream.thought(message["thinking"], entries), *stream.text(message.get("content") or "")]
        return stream.text(message.get("content") or "", entries)


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
        info = await _first(self.server, f"/api/v0/models/{self.model}")
        return int(info.get("loaded_context_length") or info.get("max_context_length") or UNKNOWN_CONTEXT)

    async def build(self) -> str:
        return "LM Studio"


class TransformersDialect(OpenAiDialect):
    """`transformers serve`: sampling goes as a GenerationConfig; without do_sample it would be greedy.

    Its frequency_penalty sets the repetition penalty, so it is not sent.
    """

    kind = "transformers"
    order = "transformers"
    supports_logprobs = False
    supports_schema = False
    probed = False
    config: ClassVar[Mapping[str, str]] = {
        name: name for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty")
    }
    params: ClassVar[Mapping[str, str]] = {
        **config,
        "max_new_tokens": "max_tokens",
        "seed": "seed",
        "stop": "stop",
    }

    def parameters(self, sampling: Sampling, seed: int) -> dict[str, Any]:
        values = super().parameters(sampling, seed)
        config = {name: values.pop(name) for name in self.config}
        if sampling.temperature == 0:
            config = {"repetition_penalty": config["repetition_penalty"]}
        config |= {"do_sample": sampling.temperature > 0, "max_new_tokens": sampling.max_new_tokens}
        return values | {"temperature": sampling.temperature, "generation_config": json.dumps(config)}


async def detect(
    server: ModelServer,
    model: str | None,
    *,
    slots: int | None = None,
) -> Dialect:
    """Ask the server what it is and return its dialect.

    model None takes the first model it lists; `transformers serve` that lists none is asked for the model it
    was started with. slots: how many answers to ask for at once, None for what is
    usual. Raises EngineUnreachable, or EngineRefused when the server is no model server or for sure has no
    such model.
    """
    props = await server.try_get("/props")
    if isinstance(props, dict) and "default_generation_settings" in props:
        return LlamaCppDialect(server)
    try:
        entry = await _model_entry(server, model)
    except EngineRefused as refusal:
        if model is not None or refusal.params["status"] in (401, 403) or not await _is_transformers(server):
            raise
        return TransformersDialect(server, SERVED, slots=slots)
    kind = await _kind(server, str(entry.get("owned_by", "")))
    return kind(server, str(entry["id"]), slots=slots)


async def _kind(server: ModelServer, owner: str) -> type[OpenAiDialect]:
    if owner == "vllm":
        return VllmDialect
    if owner == "sglang" or "model_path" in await _first(server, "/model_info", "/get_model_info"):
        return SglangDialect
    if await _field(server, "/api/version", "version"):
        return OllamaDialect
    if "data" in await _first(server, "/api/v0/models"):
        return LmStudioDialect
    return TransformersDialect if await _is_transformers(server) else OpenAiDialect


async def _is_transformers(server: ModelServer) -> bool:
    return "/load_model" in (await _first(server, "/openapi.json")).get("paths", {})


async def _first(server: ModelServer, *paths: str) -> dict[str, Any]:
    """Return the JSON object at the first of the paths that has one, an empty one without."""
    for path in paths:
        answer = await server.try_get(path)
        if isinstance(answer, dict):
            return answer
    return {}


async def _field(server: ModelServer, path: str, name: str) -> str:
    return str((await _first(server, path)).get(name) or "")


async def _model_entry(server: ModelServer, model: str | None) -> dict[str, Any]:
    """Return the server's entry of a model; a named one that it does not list is taken at its word.

    Servers that load models when they are asked for list what they happen to know, or fail to list.
    """
    entries = await _listed(server, needed=model is None)
    if model is None:
        return entries[0]
    for entry in entries:
        if entry["id"] in (model, f"{model}:latest"):
            return entry
    if entries and entries[0].get("owned_by") in COMPLETE_LISTS:
        known = ", ".join(str(entry["id"]) for entry in entries[:10])
        raise EngineRefused(
            status=404, reason=Reason("errors.reason.no_such_model", model=model, known=known)
        )
    return {"id": model}


async def _listed(server: ModelServer, *, needed: bool) -> list[dict[str, Any]]:
    try:
        listing = await server.get("/v1/models")
    except EngineRefused as refusal:
        if needed or refusal.params["status"] in (401, 403):
            raise
        listing = {}
    data = listing.get("data") if isinstance(listing, dict) else None
    entries = [entry for entry in data or () if isinstance(entry, dict) and "id" in entry]
    if needed and not entries:
        raise EngineRefused(status=404, reason=Reason("errors.reason.no_models"))
    return entries
