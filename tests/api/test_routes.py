"""Who may ask, what a broken request gets, and what happens when either side goes away."""

import json
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from twokeys.api.writing import MAX_WAITING
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall
from twokeys.errors import EngineDied

from .conftest import Api

ServeScript = Callable[[ScriptedEngine], Api]
NUMBERS = " ".join(str(n * 7919 % 10007) for n in range(2000))
"""A long text that nothing takes for a loop."""

BODY = {"model": "twokeys", "messages": [{"role": "user", "content": "Hello"}]}


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def post(api: Api, content: object = None, **more: object) -> httpx.Response:
    body = (
        content
        if isinstance(content, bytes)
        else json.dumps(content if content is not None else BODY).encode()
    )
    headers = {"Content-Type": "application/json", **api.headers, **more.pop("headers", {})}  # type: ignore[dict-item]
    return httpx.post(
        f"{api.base_url}/chat/completions", content=body, headers=headers, timeout=60, trust_env=False
    )


def test_without_a_key_nothing_answers_but_the_health_check(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    assert httpx.get(f"{api.url}/health", trust_env=False).json() == {"status": "ok"}
    for method, path in (
        ("GET", "/v1/models"),
        ("GET", "/v1/models/x"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/tokenize"),
        ("GET", "/v1/anything"),
    ):
        refused = httpx.request(method, f"{api.url}{path}", trust_env=False)
        assert refused.status_code == 401, path
        assert refused.json()["error"]["code"] == "invalid_api_key"


def test_a_web_page_cannot_spend_the_machine(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    assert post(api, headers={"Origin": "https://example.org"}).status_code == 403
    assert post(api, headers={"Host": "example.org"}).status_code == 403
    assert post(api, headers={"Content-Type": "text/plain"}).status_code == 415
    answer = post(api)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_revoked_key_is_refused_and_uses_are_counted(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    post(api)
    [key] = api.routes.keys.list()
    assert key.requests == 1 and key.last_used_at is not None
    api.routes.keys.remove("tests")
    assert post(api).status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"model": "\xff"}',
        b"[1]",
        b'{"messages": 5}',
        b'{"messages": [{"role": "robot"}]}',
        b"null",
    ],
)
def test_a_broken_body_is_told_in_openais_shape(serve_script: ServeScript, content: bytes) -> None:
    refused = post(serve_script(ScriptedEngine([Say("Hi")])), content)
    assert refused.status_code == 400
    assert set(refused.json()["error"]) >= {"message", "type", "param", "code"}


def test_a_message_of_a_megabyte_is_read(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")], context=2_000_000))
    long = {**BODY, "messages": [{"role": "user", "content": "word " * 200_000}]}
    assert post(api, long).json()["choices"][0]["message"]["content"] == "Hi"


def test_a_client_that_goes_away_frees_its_slot(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say(NUMBERS, delay_s=0.02)]))
    with httpx.stream(
        "POST",
        f"{api.base_url}/chat/completions",
        json={**BODY, "stream": True},
        headers=api.headers,
        trust_env=False,
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert api.services.jobs.views()
    until(lambda: not api.services.jobs.views())
    assert [seen.state for seen in api.routes.requests.list()] == ["left"]


def test_a_client_that_leaves_before_a_whole_answer_frees_its_slot_too(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say(NUMBERS, delay_s=0.02)]))
    host, port = api.url.removeprefix("http://").split(":")
    body = json.dumps(BODY).encode()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {api.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        until(lambda: bool(api.services.jobs.views()))
    until(lambda: not api.services.jobs.views())


def test_an_engine_that_dies_in_mid_stream_ends_it_with_an_error_and_never_cleanly(
    serve_script: ServeScript,
) -> None:
    script = [Say("some words "), Stall(0.2), Fail(EngineDied(reason="ended by SIGKILL", log=""))]
    api = serve_script(ScriptedEngine(script))
    lines = post(api, {**BODY, "stream": True}).text
    chunks = [json.loads(line[6:]) for line in lines.splitlines() if line.startswith('data: {"id"')]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "some words "
    assert "[DONE]" not in lines
    error = json.loads(lines.strip().rpartition("data: ")[2])["error"]
    assert error["code"] == "engine_died"


def test_an_engine_that_dies_before_the_first_word_has_its_status(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Fail(EngineDied(reason="ended by SIGKILL", log=""))]))
    refused = post(api, {**BODY, "stream": True})
    assert refused.status_code == 503
    assert refused.headers["retry-after"]


def test_the_guards_stop_is_told_as_such(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("The mill is old and cold. " * 200)]))
    answer = post(api).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["twokeys"]["finish"] == "guard"
    assert any(event["kind"] == "loop" for event in answer["twokeys"]["guard"])


def test_a_persons_message_goes_before_a_programs(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say(NUMBERS[:600], delay_s=0.02)]))
    threads = [threading.Thread(target=post, args=(api,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(api.services.jobs.views()) == 3)
    services = api.services
    sent = services.answers.send(services.conversations.new().id, "A person asks")
    services.jobs.wait(sent.job.id, 60)
    assert len(services.jobs.views()) == 2
    for thread in threads:
        thread.join(60)


def test_a_full_queue_says_when_to_come_again(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    for number in range(MAX_WAITING):
        api.routes.requests.begin(f"program {number}", "twokeys")
    refused = post(api)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "queue_full"
    assert int(refused.headers["retry-after"]) > 0


def test_text_is_tokenized_as_the_engine_does(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    told = httpx.post(
        f"{api.url}/tokenize", json={"content": "two words"}, headers=api.headers, trust_env=False
    ).json()
    assert told["count"] == len(told["tokens"]) > 0
