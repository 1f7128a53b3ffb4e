"""What requests look like, checked field by field; unknown fields are kept to be told.

Shapes only: what the values mean is decided in `asked.py`.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twokeys.api.errors import ApiError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_CHOICES = 8
MAX_TOP_LOGPROBS = 20
MAX_PROMPTS = 16
MAX_TOOLS = 128


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    @property
    def unknown(self) -> list[str]:
        """Return the names of the fields that nothing here knows, those of inner objects with their place."""
        names = list(self.model_extra or ())
        for field in type(self).model_fields:
            value = getattr(self, field)
            several = isinstance(value, list)
            for number, inner in enumerate(value if several else [value]):
                if isinstance(inner, _Strict):
                    place = f"{field}.{number}" if several else field
                    names += [f"{place}.{name}" for name in inner.unknown]
        return sorted(names)


class TextPart(_Strict):
    """A piece of a message; only text can be read."""

    type: Literal["text", "input_text", "output_text"]
    text: str


Content = str | list[TextPart]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class CalledFunction(_Strict):
    name: FunctionName
    arguments: str


class CalledTool(_Strict):
    """A call that the model made in an earlier answer."""

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatTurn(_Strict):
    """One message. The role `developer` is another name of `system`; `tool` is what a function returned."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise ValueError("content is missing")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only the assistant has tool_calls")
        return self


class FunctionSpec(_Strict):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Strict):
    """A function that the model may call."""

    type: Literal["function"]
    function: FunctionSpec


class FunctionChoice(_Strict):
    name: str


class ToolChoice(_Strict):
    """The one function that has to be called."""

    type: Literal["function"] = "function"
    function: FunctionChoice


class StreamOptions(_Strict):
    include_usage: bool = False


class JsonSchema(_Strict):
    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


_ALTERNATIVE = re.compile(r"(constrained-)?(str|int|float)|(list|literal|function-\w+)\[.*\]|[A-Z]\w*")
"""How pydantic names the alternatives of a field: no part of the field's name."""

TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
PromptList = Annotated[list[str] | TokenIds | list[TokenIds], Field(min_length=1)]

Number = Annotated[float | int | None, Field(default=None)]
Integer = Annotated[int | None, Field(default=None)]


class Sampled(_Strict):
    """The parameters that every kind of request may set; None leaves what the preset says."""

    model: str = ""
    stream: bool = False
    temperature: Number
    top_p: Number
    top_k: Integer
    min_p: Number
    typical_p: Number
    top_n_sigma: Number
    presence_penalty: Number
    frequency_penalty: Number
    repetition_penalty: Number
    dry_multiplier: Number
    dry_base: Number
    dry_allowed_length: Integer
    xtc_probability: Number
    xtc_threshold: Number
    seed: Integer
    stop: str | list[str] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    guard: dict[str, str] | None = None


class ChatRequest(Sampled):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatTurn], Field(min_length=1)]
    max_tokens: Integer
    max_completion_tokens: Integer
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] = 1
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None
    response_format: ResponseFormat | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Any = None
    function_call: Any = None
    logit_bias: Any = None
    audio: Any = None
    web_search_options: Any = None


class CompletionRequest(Sampled):
    """POST /v1/completions: text to go on from, or a gap to be filled."""

    prompt: str | PromptList
    suffix: str | None = None
    max_tokens: Integer
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] = 1
    logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None
    echo: bool = False
    stream_options: StreamOptions | None = None
    best_of: Any = None
    logit_bias: Any = None


class TextFormat(_Strict):
    """How /v1/responses names a format: what chat has within `json_schema` stands beside the type here."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseText(_Strict):
    format: TextFormat | None = None


class ResponsesRequest(Sampled):
    """POST /v1/responses, without state: the whole conversation comes with the request."""

    input: str | Annotated[list[ChatTurn], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Integer
    text: ResponseText | None = None
    previous_response_id: Any = None
    tools: Any = None
    background: Any = None


class TokenizeRequest(_Strict):
    """POST /tokenize: llama.cpp says `content`, vLLM says `prompt`."""

    content: str | None = None
    prompt: str | None = None
    model: str = ""


class DetokenizeRequest(_Strict):
    """POST /detokenize."""

    tokens: list[Annotated[int, Field(ge=0)]]
    model: str = ""


def read_request(kind: type[Any], body: bytes) -> Any:
    """Return a request read from its JSON. Raises ApiError that names the first field at fault."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_context=False, include_input=False)
        if faults[0]["type"] == "json_invalid":
            raise ApiError(400, "invalid_json", f"The body is not valid JSON: {faults[0]['msg']}") from exc
        # of a field with alternatives, the one that went furthest is meant
        fault = max(faults, key=lambda fault: len(_place(fault)))
        field = ".".join(_place(fault)) or None
        raise ApiError(400, "invalid_value", f"{field or 'The body'}: {fault['msg']}", param=field) from exc


def _place(fault: "ErrorDetails") -> list[str]:
    return [str(step) for step in fault["loc"] if not _ALTERNATIVE.fullmatch(str(step))]
