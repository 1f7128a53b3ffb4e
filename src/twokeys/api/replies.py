"""What answers look like to a program: OpenAI's objects, with an object `twokeys` beside them.

Shapes only; nothing is written or asked here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twokeys.api.asked import AnswerRequest
from twokeys.api.tool_calls import Call, Spoken, read_calls
from twokeys.api.writing import Ended
from twokeys.ids import new_id
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


@dataclass(frozen=True, slots=True)
class Heading:
    """What every object of an answer begins with. shown: candidates beside each token."""

    answer_id: str
    created: int
    model: str
    shown: int = 0


def finish_of(ended: Ended, asked: AnswerRequest) -> str:
    """Return OpenAI's finish reason."""
    reason = ended.outcome.view.finish_reason
    finish = FINISH.get(reason, "length") if reason is not None else "length"
    calls = spoken_of(ended, asked).calls
    return "tool_calls" if finish == "stop" and calls and calls[-1].complete else finish


def spoken_of(ended: Ended, asked: AnswerRequest) -> Spoken:
    """Return what an answer says and what it calls; without tools there are no calls in it."""
    text = ended.outcome.text
    return read_calls(text, ended=True) if may_call(asked) else Spoken(text, ())


def may_call(asked: AnswerRequest) -> bool:
    """Whether the request has tools that may be called."""
    return asked.tools is not None and asked.tools.grammar is not None


def usage_of(endings: Sequence[Ended], asked: AnswerRequest) -> dict[str, object]:
    """Return the token counts; the prompt of several choices counts once, as it is read once."""
    firsts = [ended.outcome.view for ended in endings if ended.index % asked.choices == 0]
    written = sum(ended.outcome.view.token_count for ended in endings)
    prompt = sum(view.prompt_tokens or 0 for view in firsts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": sum(view.cached_tokens or 0 for view in firsts)},
    }


def facts_of(ended: Ended, asked: AnswerRequest) -> dict[str, object]:
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
        "cached_tokens": outcome.view.cached_tokens,
        "drafts_accepted": record.engine.get("drafts_accepted"),
        "guard": [event.to_dict() for event in outcome.view.guard],
        "timings": {**asdict(record.timings), **record.drafted} if outcome.parts else {},
        "metadata": dict(asked.metadata),
        "ignored": list(asked.ignored),
        "unsupported": list(record.unsupported),
    }


def headers_of(facts: Mapping[str, object]) -> dict[str, str]:
    """Return the headers that say the same in short."""
    return {
        "x-twokeys-finish": str(facts["finish"]),
        "x-twokeys-seed": str(facts["seed"]),
        "x-twokeys-preset": _ascii(facts["preset"]),
    }


def known_headers(asked: AnswerRequest) -> dict[str, str]:
    """Return the headers of a stream: what is known before its first word."""
    preset = asked.choice.preset.name if asked.choice.preset is not None else None
    return {"x-twokeys-preset": _ascii(preset)}


def _ascii(text: object) -> str:
    return str(text or "").encode("ascii", "replace").decode()


def logprobs_of(probs: Sequence[TokenProb], wanted: int) -> dict[str, object] | None:
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


def _token(text: str, logprob: float) -> dict[str, object]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def completion(heading: Heading, choices: Sequence[dict[str, Any]], **more: object) -> dict[str, Any]:
    """Return a chat completion."""
    return {
        "id": heading.answer_id,
        "object": "chat.completion",
        "created": heading.created,
        "model": heading.model,
        "choices": list(choices),
        **more,
    }


def choice_of(ended: Ended, asked: AnswerRequest, wanted: int) -> dict[str, object]:
    """Return one choice of a chat completion."""
    spoken = spoken_of(ended, asked)
    message: dict[str, Any] = {"role": "assistant", "content": spoken.text, "refusal": None}
    if spoken.calls:
        message["content"] = spoken.text or None
        message["tool_calls"] = [call_object(call, new_call_id()) for call in spoken.calls]
    return {
        "index": ended.index,
        "message": message,
        "logprobs": logprobs_of(ended.outcome.probs, wanted) if asked.n_probs else None,
        "finish_reason": finish_of(ended, asked),
    }


def call_object(call: Call, call_id: str, arguments: str | None = None) -> dict[str, object]:
    """Return a call as OpenAI has it. arguments: those so far, by default all."""
    written = call.arguments if arguments is None else arguments
    return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": written}}


def new_call_id() -> str:
    return f"call_{new_id()}"


def text_choice(
    index: int, text: str, probs: Sequence[TokenProb], asked: AnswerRequest, wanted: int, finish: str | None
) -> dict[str, object]:
    """Return one choice, or a piece of one, of /v1/completions."""
    return {
        "index": index,
        "text": text,
        "logprobs": _text_logprobs(probs, wanted) if asked.n_probs else None,
        "finish_reason": finish,
    }


def text_completion(heading: Heading, choices: Sequence[dict[str, Any]], **more: object) -> dict[str, object]:
    """Return a completion of /v1/completions, or a streamed piece of one."""
    return completion(heading, choices, **more) | {"object": "text_completion"}


def echo_of(asked: AnswerRequest, index: int) -> str:
    """Return the prompt that stands before an answer, where it was asked for."""
    return asked.texts[index // asked.choices].text if asked.echo else ""


def _text_logprobs(probs: Sequence[TokenProb], wanted: int) -> dict[str, object]:
    candidates = [{c.text: c.logprob for c in prob.alternatives[:wanted]} for prob in probs]
    return {
        "tokens": [prob.text for prob in probs],
        "token_logprobs": [prob.logprob for prob in probs],
        "top_logprobs": candidates if wanted else None,
        "text_offset": [prob.start for prob in probs],
    }


def chunk(heading: Heading, choices: Sequence[dict[str, Any]], **more: object) -> dict[str, object]:
    """Return one piece of a streamed chat completion."""
    return completion(heading, choices, **more) | {"object": "chat.completion.chunk"}


def event(values: Mapping[str, object] | str, name: str | None = None) -> bytes:
    """Return a server-sent event."""
    data = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()


def response(heading: Heading, ended: Ended | None, asked: AnswerRequest) -> dict[str, Any]:
    """Return an object of /v1/responses; without an end it is under way."""
    cut = ended is not None and finish_of(ended, asked) == "length"
    text = {"type": "output_text", "text": ended.outcome.text, "annotations": []} if ended else None
    message = {
        "type": "message",
        "id": f"msg_{heading.answer_id}",
        "role": "assistant",
        "status": "incomplete" if cut else "completed",
        "content": [text],
    }
    usage = None
    if ended is not None:
        counts = usage_of([ended], asked)
        usage = {
            "input_tokens": counts["prompt_tokens"],
            "output_tokens": counts["completion_tokens"],
            "total_tokens": counts["total_tokens"],
            "input_tokens_details": counts["prompt_tokens_details"],
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    return {
        "id": heading.answer_id,
        "object": "response",
        "created_at": heading.created,
        "model": heading.model,
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
        "metadata": dict(asked.metadata),
        **({"twokeys": facts_of(ended, asked)} if ended is not None else {}),
    }
