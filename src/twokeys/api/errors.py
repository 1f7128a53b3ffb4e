"""Errors in OpenAI's shape: status, `{"error": {message, type, param, code}}`, and what to wait for.

The texts are those of the house (`errors.py`), in English, with their next step.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from twokeys.errors import (
    BadInput,
    BadParameter,
    ContextExceeded,
    EngineError,
    ModelError,
    NotFound,
    NotSupported,
    StoreError,
    TwoKeysError,
    read_stored,
)

RETRY_AFTER_S = 5


class ApiError(Exception):
    """A request that gets no answer. status: the HTTP status; param: the field at fault, if one is."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the JSON object that says it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        if self.status == 429:
            kind = "rate_limit_error"
        error: dict[str, Any] = {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
        }
        if self.details:
            error["twokeys"] = dict(self.details)
        return {"error": error}

    def response(self) -> JSONResponse:
        """Return the HTTP answer that says it."""
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else None
        return JSONResponse(self.body(), self.status, headers)


def api_error(error: TwoKeysError) -> ApiError:
    """Return an error of the house as a program is told it."""
    text = f"{error.message()} {error.hint()}".strip()
    if isinstance(error, ContextExceeded):
        wanted = {name: error.params.get(name) for name in ("prompt_tokens", "max_new_tokens", "context")}
        possible = max(0, int(wanted["context"] or 0) - int(wanted["prompt_tokens"] or 0))
        details = {**wanted, "possible_new_tokens": possible}
        return ApiError(400, "context_length_exceeded", text, param="max_tokens", details=details)
    if isinstance(error, BadParameter):
        return ApiError(400, "invalid_value", text, param=str(error.params.get("field", "")) or None)
    if isinstance(error, NotSupported):
        return ApiError(400, "unsupported_parameter", text, param=str(error.params.get("field", "")) or None)
    if isinstance(error, NotFound):
        return ApiError(404, "not_found", text)
    if isinstance(error, ModelError):
        return ApiError(503, "model_not_ready", text, retry_after_s=RETRY_AFTER_S)
    if isinstance(error, BadInput):
        return ApiError(400, error.code, text)
    if isinstance(error, EngineError | StoreError):
        return ApiError(503, error.code, text, retry_after_s=RETRY_AFTER_S)
    return ApiError(500, error.code, text)


def stored_error(error: Mapping[str, object]) -> ApiError:
    """Return the error a job ended with."""
    return api_error(read_stored(error))
