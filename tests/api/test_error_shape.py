"""Errors of the house in OpenAI's shape: status, type, code and the field at fault."""

import json

import pytest

from twokeys.api.errors import ApiError, api_error, stored_error
from twokeys.errors import (
    BadInput,
    BadParameter,
    ContextExceeded,
    EngineDied,
    ModelMissing,
    NotFound,
    NotSupported,
    Reason,
    StoreFull,
    TwoKeysError,
)

ERRORS = [
    (BadParameter(field="top_p", value=7, allowed="0–1"), 400, "invalid_value", "top_p"),
    (NotSupported(field="suffix", model="m"), 400, "unsupported_parameter", "suffix"),
    (BadInput(reason=Reason("comparison.error.no_probs")), 400, "bad_input", None),
    (NotFound(kind="answer", id="x"), 404, "not_found", None),
    (ModelMissing(name="m"), 503, "model_not_ready", None),
    (EngineDied(reason="SIGKILL", log=""), 503, "engine_died", None),
    (StoreFull(path="twokeys.db"), 503, "store_full", None),
    (TwoKeysError(reason="?"), 500, "unexpected", None),
]


@pytest.mark.parametrize(("error", "status", "code", "param"), ERRORS, ids=lambda value: str(value)[:24])
def test_each_error_has_its_status_and_code_and_its_sentence(
    error: TwoKeysError, status: int, code: str, param: str | None
) -> None:
    stated = api_error(error)
    body = stated.body()["error"]
    assert (stated.status, body["code"], body["param"]) == (status, code, param)
    assert body["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert body["message"].startswith(error.message("en"))
    assert (stated.response().headers.get("retry-after") is not None) == (status == 503)


def test_a_prompt_too_long_names_what_would_have_been_possible() -> None:
    stated = api_error(ContextExceeded(prompt_tokens=900, max_new_tokens=400, context=1024))
    assert (stated.status, stated.code, stated.param) == (400, "context_length_exceeded", "max_tokens")
    assert stated.body()["error"]["twokeys"] == {
        "prompt_tokens": 900,
        "max_new_tokens": 400,
        "context": 1024,
        "possible_new_tokens": 124,
    }
    beyond = api_error(ContextExceeded(prompt_tokens=2000, max_new_tokens=1, context=1024))
    assert beyond.details is not None and beyond.details["possible_new_tokens"] == 0


def test_an_error_that_was_stored_is_the_one_it_was() -> None:
    error = EngineDied(reason="SIGKILL", log="")
    assert stored_error(error.stored()).body() == api_error(error).body()


def test_too_many_requests_are_a_type_of_their_own() -> None:
    response = ApiError(429, "queue_full", "Full.", retry_after_s=2).response()
    assert response.headers["retry-after"] == "2"
    assert json.loads(bytes(response.body))["error"]["type"] == "rate_limit_error"
