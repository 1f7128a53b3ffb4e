"""What requests look like, checked field by field; unknown fields are kept to be told.

Shapes only: what the values mean is decided in `asked.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twokeys.api.errors import ApiError

MAX_CHOICES = 8
MAX_TOP_LOGPROBS = 20


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    @property
    def unknown(self) -> list[str]:
        """Return the names of the fields that nothing here knows."""
        return sorted(self.model_extra or {})


class TextPart(_Strict):
    """A piece of a message; only text can be read."""

    type: Literal["text", "input_text", "output_text"]
    text: str


Content = str | list[TextPart]


class ChatTurn(_Strict):
    """One message. The role `developer` is another name of `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class StreamOptions(_Strict):
    include_usage: bool = False


class JsonSchema(_Strict):
    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


_ALTERNATIVES = ("list[", "str", "int", "float", "function", "constrained")
"""How pydantic names the alternatives of a field: no part of the field's name."""

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
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    logit_bias: dict[str, Any] | None = None


class ResponsesRequest(Sampled):
    """POST /v1/responses, without state: the whole conversation comes with the request."""

    input: str | Annotated[list[ChatTurn], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Integer
    previous_response_id: str | None = None
    tools: list[Any] | None = None


class TokenizeRequest(_Strict):
    """POST /tokenize: llama.cpp says `content`, vLLM says `prompt`."""

    content: str | None = None
    prompt: str | None = None
    model: str = ""


def read_request(kind: type[Any], body: bytes) -> Any:
    """Return a request read from its JSON. Raises ApiError that names the first field at fault."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ApiError(400, "invalid_json", f"The body is not valid JSON: {first['msg']}") from exc
        place = [str(step) for step in first["loc"] if not str(step).startswith(_ALTERNATIVES)]
        field = ".".join(place) or None
        raise ApiError(400, "invalid_value", f"{field or 'The body'}: {first['msg']}", param=field) from exc
