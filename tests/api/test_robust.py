"""Whatever is sent, an answer in OpenAI's shape comes back, and the next request is answered."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokeys.api.wire import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    ResponsesRequest,
    TokenizeRequest,
)
from twokeys.engines.scripted import Say, ScriptedEngine

from .conftest import Api, ServeScript

BODY = {"model": "twokeys", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
REQUESTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "/v1/chat/completions": (ChatRequest, BODY),
    "/v1/completions": (CompletionRequest, {"prompt": "Hello", "max_tokens": 4}),
    "/v1/responses": (ResponsesRequest, {"input": "Hello", "max_output_tokens": 4}),
    "/tokenize": (TokenizeRequest, {"content": "Hello"}),
    "/detokenize": (DetokenizeRequest, {"tokens": [1]}),
}
FIELDS = [
    (path, field.alias or name)
    for path, (kind, _) in REQUESTS.items()
    for name, field in kind.model_fields.items()
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def api(serve_script: ServeScript) -> Api:
    return serve_script(ScriptedEngine([Say("Hi")]))


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, headers=api.headers, trust_env=False, timeout=30) as client:
        yield client


def raw(api: Api, sent: bytes, *, more_to_come: bool = False) -> bytes:
    """Send bytes as they are, and return all that is answered; where more should come, say that none does."""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        if more_to_come:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def head(api: Api, length: int, extra: str = "") -> bytes:
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {api.key}\r\nContent-Length: {length}\r\n{extra}\r\n"
    ).encode()


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.sampled_from(FIELDS), value=ANY_JSON)
def test_a_value_of_any_type_in_any_field_is_honoured_or_refused_in_openais_shape(
    client: httpx.Client, place: tuple[str, str], value: Any
) -> None:
    path, field = place
    body = json.dumps({**REQUESTS[path][1], field: value}).encode()
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error["message"] and error["code"] and error["type"] == "invalid_request_error"


def test_an_object_in_a_field_that_takes_none_is_refused_by_the_fields_name(client: httpx.Client) -> None:
    for path, field in FIELDS:
        value: Any = {"\u0000": [5]}
        if field in ("metadata", "stream_options", "text"):
            value = "no object"
        answer = client.post(path, json={**REQUESTS[path][1], field: value})
        assert answer.status_code == 400, (path, field)
        assert str(answer.json()["error"]["param"]).split(".")[0] == field


def test_a_request_that_stays_unfinished_harms_nobody(api: Api) -> None:
    body = json.dumps(BODY).encode()
    for sent in (
        b"POST /v1/chat/comp",
        head(api, len(body))[:-9],
        head(api, len(body)) + body[:-5],
        head(api, 5) + b"{",
        b"\x16\x03\x01\x00\xff not HTTP at all\r\n\r\n",
    ):
        assert b" 200 " not in raw(api, sent, more_to_come=True)[:40]
    assert raw(api, head(api, len(body), "Connection: close\r\n") + body).startswith(b"HTTP/1.1 200")
    assert not api.services.jobs.views()


def test_broken_json_and_broken_utf8_are_told(api: Api) -> None:
    for sent in (
        b'{"a": \xff\xfe}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"temperature": NaN}',
        b"\x00",
    ):
        answer = raw(api, head(api, len(sent), "Connection: close\r\n") + sent)
        assert answer.startswith(b"HTTP/1.1 400"), sent[:20]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


def test_half_a_character_in_a_message_is_answered(client: httpx.Client) -> None:
    body = b'{"messages": [{"role": "user", "content": "\\ud83d hello"}], "max_tokens": 4}'
    answer = client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400)


def test_a_body_beyond_the_limit_is_refused_with_its_status(client: httpx.Client) -> None:
    huge = {**BODY, "messages": [{"role": "user", "content": "word " * (4 << 20)}]}
    answer = client.post("/v1/chat/completions", json=huge)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_slow_reader_holds_up_nobody_else(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("word " * 6000)], slots=2, context=100_000))
    off = {"loop": "off", "decay": "off", "drift": "off"}
    body = json.dumps({**BODY, "max_tokens": 20_000, "stream": True, "logprobs": True, "guard": off}).encode()
    host, port = api.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(head(api, len(body)) + body)
        assert slow.recv(10) == b"HTTP/1.1 2"
        answer = httpx.post(
            f"{api.base_url}/chat/completions", json=BODY, headers=api.headers, trust_env=False, timeout=30
        )
        assert answer.status_code == 200


def test_a_worker_killed_in_mid_stream_ends_it_with_an_error_and_the_next_request_is_answered(
    real_api: Api,
) -> None:
    asked = {**BODY, "max_tokens": 1500, "stream": True, "guard": {"loop": "off"}}
    url = f"{real_api.base_url}/chat/completions"
    with httpx.stream(
        "POST", url, json=asked, headers=real_api.headers, trust_env=False, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        while '"content": "' not in (line := next(lines)) or '"content": ""' in line:
            pass
        pid = real_api.services.engines.current().pid  # type: ignore[union-attr]
        os.kill(pid, signal.SIGKILL)
        rest = [line for line in lines if line]
    assert "data: [DONE]" not in rest
    assert rest[-2] == "event: error"
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "engine_died"
    again = httpx.post(url, json=BODY, headers=real_api.headers, trust_env=False, timeout=60)
    assert again.json()["choices"][0]["message"]["content"]


NO_ANSWER = {"type": "object", "properties": {"rows": {"type": "array", "uniqueItems": True}}}
IN_CHAT = {"type": "json_schema", "json_schema": {"name": "rows", "schema": NO_ANSWER}}
IN_RESPONSES = {"format": {"type": "json_schema", "name": "rows", "schema": NO_ANSWER}}


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("/v1/chat/completions", {"response_format": IN_CHAT}, "response_format"),
        ("/v1/responses", {"text": IN_RESPONSES}, "text"),
    ],
)
def test_a_keyword_that_no_answer_can_be_held_to_is_named_and_nothing_is_asked(
    serve_script: ServeScript, path: str, asked: dict[str, Any], field: str
) -> None:
    engine = ScriptedEngine([Say("{}")])
    api = serve_script(engine)
    with httpx.Client(base_url=api.url, headers=api.headers, trust_env=False, timeout=30) as client:
        refused = client.post(path, json={**REQUESTS[path][1], **asked})
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert (error["code"], error["type"]) == ("unsupported_schema", "invalid_request_error")
        assert "uniqueItems (#/properties/rows)" in error["message"]
        assert error["param"].split(".")[0] == field
        assert engine.requests == []
        allowed = json.loads(json.dumps(asked).replace('"uniqueItems": true', '"minItems": 1'))
        assert client.post(path, json={**REQUESTS[path][1], **allowed}).status_code == 200
        assert engine.requests[0].json_schema is not None
