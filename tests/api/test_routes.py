"""Who may ask: a key, no page of another origin, no key that was revoked."""

import httpx

from twokeys.engines.scripted import Say, ScriptedEngine

from .conftest import ServeScript
from .sending import post


def test_without_a_key_nothing_answers_but_the_health_check(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    assert httpx.get(f"{api.url}/health", trust_env=False).json() == {"status": "ok"}
    for method, path in (
        ("GET", "/v1/models"),
        ("GET", "/v1/models/x"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/completions"),
        ("POST", "/tokenize"),
        ("POST", "/detokenize"),
        ("OPTIONS", "/v1/models"),
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
