"""What answers look like to a program: OpenAI's objects, with an object `twokeys` beside them.

Shapes only; nothing is written or asked here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from twokeys.api.asked import Asked
from twokeys.api.writing import Ended
from twokeys.types import FinishReason, PartRecord, TokenProb

FINISH: Mapping[FinishReason, str] = {
    "stop": "stop",
    "stop_string": "stop",
    "guard": "stop",
    "length": "length",
    "context": "length",
    "cancelled": "length",
    "interrupted": "length",
}
"""`length` whenever the answer was cut, by whichever limit; the guard's stop is told in `twokeys.guard`."""


def finish_of(ended: Ended) -> str:
    """Return OpenAI's finish reason."""
    reason = ended.outcome.view.finish_reason
    return FINISH.get(reason, "length") if reason is not None else "length"


def usage_of(endings: Sequence[Ended]) -> dict[str, Any]:
    """Return the token counts; the prompt of several choices counts once, as it is read once."""
    first = endings[0].outcome.view
    written = sum(ended.outcome.view.token_count for ended in endings)
    prompt = first.prompt_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": first.cached_tokens or 0},
    }


def facts_of(ended: Ended, asked: Asked) -> dict[str, Any]:
    """Return the object `twokeys`: how this answer came about."""
    outcome = ended.outcome
    record = outcome.parts[-1] if outcome.parts else PartRecord()
    context = record.context or 0
    used = (outcome.view.prompt_tokens or 0) + outcome.view.token_count
    parameters = {**record.sampling_set, **record.sampling_used}
    return {
        "finish": outcome.view.finish_reason,
        "parameters": parameters,
        "seed": record.seed,
        "preset": asked.choice.preset.name if asked.choice.preset is not None else None,
        "set_by_request": list(asked.set_by_request),
        "model": record.model,
        "model_sha256": record.model_sha256,
        "engine": dict(record.engine),
        "context": {"size": context or None, "left": max(0, context - used) if context else None},
        "guard": [event.to_dict() for event in outcome.view.guard],
        "timings": asdict(record.timings) if outcome.parts else {},
        "ignored": list(asked.ignored),
        "unsupported": list(record.unsupported),
    }


def headers_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that say the same in short."""
    return {
        "x-twokeys-finish": str(facts["finish"]),
        "x-twokeys-seed": str(facts["seed"]),
        "x-twokeys-preset": str(facts["preset"] or "").encode("ascii", "replace").decode(),
    }


def logprobs_of(probs: Sequence[TokenProb], wanted: int) -> dict[str, Any] | None:
    """Return the probabilities of tokens; wanted: candidates beside each, None without any."""
    if not probs:
        return None
    return {
        "content": [
            {
                **_token(prob.text, prob.logprob),
                "top_logprobs": [_token(c.text, c.logprob) for c in prob.alternatives[:wanted]],
            }
            for prob in probs
        ],
        "refusal": None,
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def completion(
    answer_id: str, created: int, model: str, choices: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return a chat completion."""
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": list(choices),
        **more,
    }


def choice_of(ended: Ended, asked: Asked, wanted: int) -> dict[str, Any]:
    """Return one choice of a chat completion."""
    return {
        "index": ended.index,
        "message": {"role": "assistant", "content": ended.outcome.text, "refusal": None},
        "logprobs": logprobs_of(ended.outcome.probs, wanted) if asked.n_probs else None,
        "finish_reason": finish_of(ended),
    }


def chunk(
    answer_id: str, created: int, model: str, choices: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return one piece of a streamed chat completion."""
    return completion(answer_id, created, model, choices, **more) | {"object": "chat.completion.chunk"}


def event(values: Mapping[str, Any] | str, name: str | None = None) -> bytes:
    """Return a server-sent event."""
    data = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()


def response(answer_id: str, created: int, model: str, ended: Ended | None, asked: Asked) -> dict[str, Any]:
    """Return an object of /v1/responses; without an end it is under way."""
    cut = ended is not None and finish_of(ended) == "length"
    text = {"type": "output_text", "text": ended.outcome.text, "annotations": []} if ended else None
    message = {
        "type": "message",
        "id": f"msg_{answer_id}",
        "role": "assistant",
        "status": "incomplete" if cut else "completed",
        "content": [text],
    }
    usage = None
    if ended is not None:
        counts = usage_of([ended])
        usage = {
            "input_tokens": counts["prompt_tokens"],
            "output_tokens": counts["completion_tokens"],
            "total_tokens": counts["total_tokens"],
            "input_tokens_details": counts["prompt_tokens_details"],
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    return {
        "id": answer_id,
        "object": "response",
        "created_at": created,
        "model": model,
        "status": "in_progress" if ended is None else "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": [message] if ended is not None else [],
        "usage": usage,
        "temperature": asked.sampling.temperature,
        "top_p": asked.sampling.top_p,
        "max_output_tokens": asked.sampling.max_new_tokens,
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "metadata": {},
        **({"twokeys": facts_of(ended, asked)} if ended is not None else {}),
    }
