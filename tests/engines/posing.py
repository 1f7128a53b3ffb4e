"""Servers of each kind as they look from outside, posed by the fault server, and pieces of their streams."""

import json
from typing import Any

from fault_server import FaultServer

CHAT = "/v1/chat/completions"


def piece(text: str, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]}


def end(reason: str = "stop", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason, **choice}]}


def usage(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    details = None if cached is None else {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}
    return {"choices": [], "usage": counts}


def as_openai(server: FaultServer) -> None:
    server.json(
        "/v1/models", {"object": "list", "data": [{"id": "qwen", "object": "model", "owned_by": "me"}]}
    )


def as_vllm(server: FaultServer) -> None:
    entry = {"id": "Qwen/Qwen2.5-7B-Instruct", "owned_by": "vllm", "max_model_len": 4096}
    server.json("/v1/models", {"object": "list", "data": [entry]})
    server.json("/version", {"version": "0.11.0"})
    server.json("/tokenize", {"count": 31, "max_model_len": 4096, "tokens": list(range(31))})


def as_sglang(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "Qwen2.5-7B", "owned_by": "sglang", "root": "Qwen2.5-7B"}]})
    server.json(
        "/get_server_info", {"version": "0.5.3", "context_length": 32768, "max_total_num_tokens": 90000}
    )


def as_ollama(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "qwen2.5:7b", "owned_by": "library"}]})
    server.json("/api/version", {"version": "0.12.3"})
    server.json(
        "/api/ps", {"models": [{"name": "qwen2.5:7b", "model": "qwen2.5:7b", "context_length": 4096}]}
    )


def as_lmstudio(server: FaultServer) -> None:
    server.json("/v1/models", {"data": [{"id": "qwen2.5-7b-instruct", "owned_by": "organization_owner"}]})
    entry = {"id": "qwen2.5-7b-instruct", "loaded_context_length": 8192, "max_context_length": 32768}
    server.json("/api/v0/models", {"data": [entry]})
    server.json("/api/v0/models/qwen2.5-7b-instruct", entry)


def as_transformers(server: FaultServer) -> None:
    server.json("/v1/models", {"object": "list", "data": []}, 500)
    server.json("/openapi.json", {"paths": {"/v1/chat/completions": {}, "/load_model": {}}})


def ollama_lines(*texts: str, reason: str = "stop", counts: tuple[int, int] = (31, 3)) -> list[str]:
    """What Ollama's /api/chat streams: a JSON object a line."""
    lines = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    last = {"done": True, "done_reason": reason, "prompt_eval_count": counts[0], "eval_count": counts[1]}
    return [json.dumps(line, ensure_ascii=False) + "\n" for line in (*lines, last)]


KINDS = {
    "openai": (as_openai, 0, ""),
    "vllm": (as_vllm, 4096, "vLLM 0.11.0"),
    "sglang": (as_sglang, 32768, "SGLang 0.5.3"),
    "ollama": (as_ollama, 4096, "Ollama 0.12.3"),
    "lmstudio": (as_lmstudio, 8192, "LM Studio"),
}


SSE_KINDS = [kind for kind in KINDS if kind != "ollama"]
