"""What a request asks for, in the house's own values: messages, sampling, limits, format.

A preset sets what it sets; what the request sets itself wins. A field that cannot be honoured is an
error that names it. Starts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twokeys.api.choice import Choice
from twokeys.api.errors import ApiError
from twokeys.api.wire import ChatRequest, ChatTurn, Content, ResponsesRequest, Sampled
from twokeys.errors import BadParameter
from twokeys.types import PARAMETERS, ChatMessage, Role, Sampling

UNSUPPORTED = ("tools", "functions", "logit_bias", "previous_response_id")
"""Fields that are known and cannot be honoured: asked for, they are refused."""

ANY_JSON: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood.

    length_set: the request itself says how long the answer may be; otherwise it takes the room there
    is. set_by_request: the parameters that the request set itself. n_probs: candidates a token.
    """

    messages: tuple[ChatMessage, ...]
    sampling: Sampling
    choice: Choice
    length_set: bool
    set_by_request: tuple[str, ...]
    choices: int = 1
    n_probs: int = 0
    json_schema: Mapping[str, Any] | None = None
    stream: bool = False
    include_usage: bool = False
    store: bool = False
    guard: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        """The last thing the user said."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


def asked_chat(request: ChatRequest, choice: Choice, *, strict: bool) -> Asked:
    """Return what a chat request asks for. Raises ApiError, BadParameter."""
    length = request.max_completion_tokens
    length = request.max_tokens if length is None else length
    schema: Mapping[str, Any] | None = None
    if request.response_format is not None and request.response_format.type != "text":
        schema = ANY_JSON
        if request.response_format.type == "json_schema":
            if request.response_format.json_schema is None:
                raise ApiError(
                    400,
                    "missing_value",
                    "response_format.json_schema is missing.",
                    param="response_format.json_schema",
                )
            schema = request.response_format.json_schema.schema_
    wanted = request.top_logprobs or 0
    if wanted and not request.logprobs:
        raise ApiError(400, "invalid_value", "top_logprobs needs logprobs to be true.", param="top_logprobs")
    return _asked(
        request,
        choice,
        _messages(request.messages, choice),
        length,
        strict=strict,
        choices=request.n,
        n_probs=max(1, wanted) if request.logprobs else 0,
        json_schema=schema,
        include_usage=request.stream_options is not None and request.stream_options.include_usage,
    )


def asked_response(request: ResponsesRequest, choice: Choice, *, strict: bool) -> Asked:
    """Return what a request of /v1/responses asks for. Raises ApiError, BadParameter."""
    turns = (
        [ChatTurn(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    )
    if request.instructions:
        turns = [ChatTurn(role="system", content=request.instructions), *turns]
    return _asked(request, choice, _messages(turns, choice), request.max_output_tokens, strict=strict)


def _asked(
    request: Sampled,
    choice: Choice,
    messages: tuple[ChatMessage, ...],
    length: int | None,
    *,
    strict: bool,
    **more: Any,
) -> Asked:
    for name in UNSUPPORTED:
        if getattr(request, name, None):
            raise ApiError(400, "unsupported_parameter", f"{name} cannot be used here yet.", param=name)
    if strict and request.unknown:
        name = request.unknown[0]
        raise ApiError(400, "unknown_parameter", f"There is no parameter {name!r}.", param=name)
    given = {name: value for name in PARAMETERS if (value := getattr(request, name, None)) is not None}
    if "stop" in given:
        given["stop"] = (given["stop"],) if isinstance(given["stop"], str) else tuple(given["stop"])
    if length is not None:
        given["max_new_tokens"] = length
    preset = choice.preset.changes if choice.preset is not None else {}
    try:
        sampling = Sampling().with_(**{**preset, **given})
    except BadParameter as error:
        raise _in_its_words(error, request) from error
    return Asked(
        messages,
        sampling,
        choice,
        length_set=length is not None,
        set_by_request=tuple(given),
        stream=request.stream,
        store=bool(request.store),
        guard=request.guard or {},
        ignored=tuple(request.unknown),
        **more,
    )


def _in_its_words(error: BadParameter, request: Sampled) -> BadParameter:
    """Return the error with the name the request has for the length."""
    if error.params.get("field") != "max_new_tokens":
        return error
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
    used = next((name for name in names if getattr(request, name, None) is not None), "max_tokens")
    return BadParameter(**{**error.params, "field": used})


def _messages(turns: Sequence[ChatTurn], choice: Choice) -> tuple[ChatMessage, ...]:
    """Return the messages as the model reads them; a preset's system prompt stands for a missing one."""
    messages = [ChatMessage(_role(turn.role), _text(turn.content)) for turn in turns]
    prompt = choice.preset.system_prompt if choice.preset is not None else None
    if prompt and messages[0].role != "system":
        messages.insert(0, ChatMessage("system", prompt))
    if not any(message.content.strip() for message in messages if message.role == "user"):
        raise ApiError(400, "empty_message", "No message of the user has any text.", param="messages")
    return tuple(messages)


def _role(role: str) -> Role:
    return "system" if role in ("system", "developer") else "user" if role == "user" else "assistant"


def _text(content: Content) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)
