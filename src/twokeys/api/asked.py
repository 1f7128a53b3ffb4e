"""What a request asks for, in the house's own values: messages or texts, sampling, limits, format, tools.

A preset sets what it sets; what the request sets itself wins. A field that cannot be honoured is an
error that names it. Starts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twokeys.api.choice import ModelChoice
from twokeys.api.errors import ApiError
from twokeys.api.tool_calls import OPEN, written_turn
from twokeys.api.tool_grammar import call_grammar
from twokeys.api.wire import (
    MAX_PROMPTS,
    ChatRequest,
    ChatTurn,
    CompletionRequest,
    Content,
    ResponsesRequest,
    Sampled,
    ToolChoice,
)
from twokeys.core.structured.schema import AnswerSchema, check_honoured
from twokeys.errors import BadParameter, BadSchema, SchemaRefused
from twokeys.types import PARAMETERS, ChatMessage, Sampling, TurnRole

UNSUPPORTED = (
    "functions",
    "function_call",
    "logit_bias",
    "audio",
    "web_search_options",
    "best_of",
    "previous_response_id",
    "background",
)
"""Fields that are known and cannot be honoured: asked for, they are refused."""

MAX_USER_CHARS = 60
ANY_JSON: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """Text to go on from, or token ids; with a suffix, the gap between the two."""

    text: str = ""
    ids: tuple[int, ...] = ()
    suffix: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What may be called. tools: as the model reads them. grammar: of the calls, None where none may be made;
    starts_at: the word of the answer from which on it holds, empty for all of it.
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    grammar: str | None = None
    starts_at: str = ""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One request, understood.

    length_set: the request itself says how long the answer may be; otherwise it takes the room there
    is. set_by_request: the parameters that the request set itself. n_probs: candidates a token.
    texts: what to go on from instead of messages, each `choices` times. tools: None where the request
    has none and no turn with a call. user: whom the program asks for, as it says.
    """

    messages: tuple[ChatMessage, ...]
    sampling: Sampling
    choice: ModelChoice
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
    texts: tuple[TextPrompt, ...] = ()
    tools: ToolUse | None = None
    echo: bool = False
    user: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The last thing the user said."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def answers(self) -> int:
        """How many answers are to be written."""
        return self.choices * max(1, len(self.texts))


def asked_chat(request: ChatRequest, choice: ModelChoice, *, strict: bool) -> AnswerRequest:
    """Return what a chat request asks for. Raises ApiError, BadParameter."""
    length = request.max_completion_tokens
    length = request.max_tokens if length is None else length
    schema: Mapping[str, Any] | None = None
    form = request.response_format
    if form is not None and form.type == "json_schema" and form.json_schema is None:
        raise _missing("response_format.json_schema")
    if form is not None and form.type != "text":
        schema = form.json_schema.schema_ if form.json_schema is not None else ANY_JSON
        _check_schema(schema, "response_format")
    wanted = request.top_logprobs or 0
    if wanted and not request.logprobs:
        raise ApiError(400, "invalid_value", "top_logprobs needs logprobs to be true.", param="top_logprobs")
    tools = _tools(request)
    for name, other in (("response_format", schema is not None), ("logprobs", bool(request.logprobs))):
        if other and tools is not None and tools.grammar is not None:
            raise ApiError(
                400, "unsupported_parameter", f"{name} cannot be used together with tools.", param=name
            )
    return _asked(
        request,
        choice,
        _messages(request.messages, choice),
        length,
        strict=strict,
        choices=request.n,
        n_probs=max(1, wanted) if request.logprobs else 0,
        json_schema=schema,
        include_usage=_wants_usage(request),
        tools=tools,
    )


def asked_completion(request: CompletionRequest, choice: ModelChoice, *, strict: bool) -> AnswerRequest:
    """Return what a request of /v1/completions asks for. Raises ApiError, BadParameter."""
    given: list[Any] = request.prompt if isinstance(request.prompt, list) else [request.prompt]
    if isinstance(given[0], int):
        given = [given]
    if len(given) > MAX_PROMPTS:
        raise ApiError(400, "invalid_value", f"prompt: at most {MAX_PROMPTS} of them.", param="prompt")
    suffix = request.suffix or None
    texts = tuple(
        TextPrompt(text=prompt, suffix=suffix) if isinstance(prompt, str) else TextPrompt(ids=tuple(prompt))
        for prompt in given
    )
    if suffix is not None and any(text.ids for text in texts):
        raise ApiError(400, "invalid_value", "suffix needs a prompt that is text.", param="suffix")
    if any(not text.text and not text.ids and not suffix for text in texts):
        raise ApiError(400, "empty_message", "prompt is empty.", param="prompt")
    for name, value in (("store", request.store), ("echo", request.echo and (suffix or request.logprobs))):
        if value:
            raise ApiError(400, "unsupported_parameter", f"{name} cannot be used here.", param=name)
    return _asked(
        request,
        choice,
        (),
        request.max_tokens,
        strict=strict,
        choices=request.n,
        n_probs=max(1, request.logprobs) if request.logprobs is not None else 0,
        include_usage=_wants_usage(request),
        texts=texts,
        echo=request.echo,
    )


def asked_response(request: ResponsesRequest, choice: ModelChoice, *, strict: bool) -> AnswerRequest:
    """Return what a request of /v1/responses asks for. Raises ApiError, BadParameter."""
    turns = (
        [ChatTurn(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    )
    if request.instructions:
        turns = [ChatTurn(role="system", content=request.instructions), *turns]
    if request.tools or any(turn.tool_calls or turn.role == "tool" for turn in turns):
        raise ApiError(400, "unsupported_parameter", "tools: use /v1/chat/completions.", param="tools")
    form = request.text.format if request.text is not None else None
    if form is not None and form.type == "json_schema" and form.schema_ is None:
        raise _missing("text.format.schema")
    schema = None if form is None or form.type == "text" else form.schema_ or ANY_JSON
    if schema is not None:
        _check_schema(schema, "text.format")
    messages = _messages(turns, choice)
    return _asked(request, choice, messages, request.max_output_tokens, strict=strict, json_schema=schema)


def _asked(
    request: Sampled,
    choice: ModelChoice,
    messages: tuple[ChatMessage, ...],
    length: int | None,
    *,
    strict: bool,
    **more: Any,
) -> AnswerRequest:
    for name in UNSUPPORTED:
        if getattr(request, name, None):
            raise ApiError(400, "unsupported_parameter", f"{name} cannot be used here.", param=name)
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
    return AnswerRequest(
        messages,
        sampling,
        choice,
        length_set=length is not None,
        set_by_request=tuple(given),
        stream=request.stream,
        store=bool(request.store),
        guard=request.guard or {},
        ignored=tuple(request.unknown),
        user=(request.user or "")[:MAX_USER_CHARS],
        metadata=request.metadata or {},
        **more,
    )


def _in_its_words(error: BadParameter, request: Sampled) -> BadParameter:
    """Return the error with the name the request has for the length."""
    if error.params.get("field") != "max_new_tokens":
        return error
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
    used = next((name for name in names if getattr(request, name, None) is not None), "max_tokens")
    return BadParameter(**{**error.params, "field": used})


def _check_schema(schema: Mapping[str, object], field_name: str) -> None:
    """Raise ApiError for what is no JSON schema, or asks for what no answer can be held to."""
    try:
        check_honoured(AnswerSchema.of(schema))
    except (BadSchema, SchemaRefused) as exc:
        detail = exc.params.get("keywords") or exc.params.get("reason")
        problem = (
            "has keywords that an answer cannot be held to" if "keywords" in exc.params else "is not usable"
        )
        raise ApiError(
            400, "unsupported_schema", f"The schema {problem}: {detail}", param=field_name
        ) from exc


def _missing(field_name: str) -> ApiError:
    return ApiError(400, "missing_value", f"{field_name} is missing.", param=field_name)


def _wants_usage(request: ChatRequest | CompletionRequest) -> bool:
    return request.stream_options is not None and request.stream_options.include_usage


def _tools(request: ChatRequest) -> ToolUse | None:
    """Return what may be called; the model reads no tools when none may be."""
    spoken_of = any(turn.role == "tool" or turn.tool_calls for turn in request.messages)
    choice = request.tool_choice or "auto"
    if choice == "required" and not request.tools:
        raise ApiError(400, "invalid_value", "tool_choice needs tools.", param="tool_choice")
    if choice == "none" or not request.tools:
        return ToolUse() if spoken_of else None
    read = {"name", "description", "parameters"}
    offered = [tool.function.model_dump(exclude_none=True, include=read) for tool in request.tools]
    names = [function["name"] for function in offered]
    if len(set(names)) < len(names):
        raise ApiError(400, "invalid_value", "Two tools have the same name.", param="tools")
    callable_now = offered
    if isinstance(choice, ToolChoice):
        callable_now = [function for function in offered if function["name"] == choice.function.name]
        if not callable_now:
            raise ApiError(
                400, "invalid_value", f"No tool is called {choice.function.name!r}.", param="tool_choice"
            )
    several = request.parallel_tool_calls is not False and not isinstance(choice, ToolChoice)
    return ToolUse(
        tuple({"type": "function", "function": function} for function in offered),
        call_grammar(callable_now, parallel=several),
        OPEN if choice == "auto" else "",
    )


def _messages(turns: Sequence[ChatTurn], choice: ModelChoice) -> tuple[ChatMessage, ...]:
    """Return the messages as the model reads them; a preset's system prompt stands for a missing one."""
    messages = [ChatMessage(_role(turn.role), _content(turn)) for turn in turns]
    prompt = choice.preset.system_prompt if choice.preset is not None else None
    if prompt and messages[0].role != "system":
        messages.insert(0, ChatMessage("system", prompt))
    if not any(message.content.strip() for message in messages if message.role == "user"):
        raise ApiError(400, "empty_message", "No message of the user has any text.", param="messages")
    return tuple(messages)


def _role(role: str) -> TurnRole:
    roles: dict[str, TurnRole] = {"developer": "system", "system": "system", "user": "user", "tool": "tool"}
    return roles.get(role, "assistant")


def _content(turn: ChatTurn) -> str:
    text = _text(turn.content)
    if not turn.tool_calls:
        return text
    return written_turn(text, ((call.function.name, call.function.arguments) for call in turn.tool_calls))


def _text(content: Content | None) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else "".join(part.text for part in content)
