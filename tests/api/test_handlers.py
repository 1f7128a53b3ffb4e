"""What is done with a request that was let in: read, written, refused, and when either side goes away."""

import json
import socket
import threading

import httpx
import pytest

from twokeys.api.patience import Patience
from twokeys.api.writing import MAX_WAITING
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Stall
from twokeys.errors import EngineDied

from .conftest import Api, ServeScript
from .sending import BODY, NUMBERS, post, until


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


def test_a_request_is_told_how_far_the_model_is_loaded(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")], start_s=1.0), Patience(loading_s=0.05))
    for stream in (False, True):
        refused = post(api, {**BODY, "stream": stream})
        assert refused.status_code == 503
        error = refused.json()["error"]
        assert error["code"] == "model_loading"
        assert error["twokeys"] == {"phase": "loading", "progress": 0.5}
        assert int(refused.headers["retry-after"]) > 0
    until(lambda: not api.services.jobs.views())


def test_a_stream_that_waits_says_that_it_is_still_there(serve_script: ServeScript) -> None:
    engine = ScriptedEngine([Stall(0.4), Say("Hi")])
    api = serve_script(engine, Patience(heartbeat_s=0.05, first_word_s=0.05))
    lines = post(api, {**BODY, "stream": True}).text
    assert lines.startswith(": still here")
    assert lines.count(": still here") > 1
    assert lines.endswith("data: [DONE]\n\n")


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
    api = serve_script(ScriptedEngine([Say(NUMBERS[:60], delay_s=0.02)]))
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
    body = httpx.post(
        f"{api.url}/tokenize", json={"content": "two words"}, headers=api.headers, trust_env=False
    ).json()
    assert body["count"] == len(body["tokens"]) > 0


def ask(api: Api, method: str, path: str, body: object = None) -> httpx.Response:
    return httpx.request(method, f"{api.url}{path}", json=body, headers=api.headers, trust_env=False)


def test_what_is_not_here_is_named_and_a_model_is_found_by_the_name_in_the_list(
    serve_script: ServeScript,
) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    refused = ask(api, "DELETE", "/v1/files/a")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert "DELETE /v1/files/a" in refused.json()["error"]["message"]
    [first, *_] = ask(api, "GET", "/v1/models").json()["data"]
    assert ask(api, "GET", f"/v1/models/{first['id']}").json() == first
    missing = ask(api, "GET", "/v1/models/none/such").json()["error"]
    assert (missing["code"], missing["param"]) == ("model_not_found", "model")


def test_a_text_to_be_counted_must_be_there_under_either_name(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    counts = [ask(api, "POST", "/tokenize", {name: "tea"}).json()["count"] for name in ("content", "prompt")]
    assert counts[0] == counts[1] > 0
    refused = ask(api, "POST", "/tokenize", {})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "content")


def test_the_list_of_requests_names_the_program_and_for_whom_it_asks(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    post(api, {**BODY, "user": "ann"})
    post(api)
    assert {seen.program for seen in api.routes.requests.list()} == {"tests (ann)", "tests"}
    assert {seen.state for seen in api.routes.requests.list()} == {"done"}


def test_whole_and_streamed_answers_are_the_same_text(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Tea came by sea.")]))
    whole = post(api).json()["choices"][0]["message"]["content"]
    lines = [line[6:] for line in post(api, {**BODY, "stream": True}).text.splitlines() if "data: {" in line]
    deltas = [json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines]
    assert "".join(deltas) == whole == "Tea came by sea."
