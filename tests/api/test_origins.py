"""A browser's page may ask only when a person has named its origin, and then still needs a key."""

import httpx
import pytest

from twokeys.api.origins import NamedOrigins, origin_of
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import BadInput

from .conftest import Api, ServeScript

PAGE = "https://chat.example.org"
BODY = {"model": "twokeys", "messages": [{"role": "user", "content": "Hello"}]}


def ask(api: Api, method: str = "POST", path: str = "/v1/chat/completions", **more: object) -> httpx.Response:
    headers = {**api.headers, "Origin": PAGE, **more.pop("headers", {})}  # type: ignore[dict-item]
    body = BODY if method == "POST" else None
    return httpx.request(method, f"{api.url}{path}", json=body, headers=headers, trust_env=False)


def preflight(api: Api, origin: str = PAGE) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return httpx.options(f"{api.url}/v1/chat/completions", headers=headers, trust_env=False)


def test_a_page_may_ask_as_soon_as_it_is_named_and_no_longer(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    assert ask(api).status_code == 403
    assert "access-control-allow-origin" not in preflight(api).headers
    api.services.set_api_origins([PAGE])
    allowed = preflight(api)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    answer = ask(api)
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-twokeys-seed" in answer.headers["access-control-expose-headers"]
    api.services.set_api_origins([])
    assert ask(api).status_code == 403


def test_a_named_page_needs_a_key_and_another_page_gets_nothing(serve_script: ServeScript) -> None:
    api = serve_script(ScriptedEngine([Say("Hi")]))
    api.services.set_api_origins([PAGE])
    assert ask(api, headers={"Authorization": "Bearer tk-wrong"}).status_code == 401
    assert ask(api, headers={"Origin": "https://other.example.org"}).status_code == 403
    assert preflight(api, "https://other.example.org").status_code == 400
    listed = ask(api, "GET", "/v1/models", headers={"Origin": "https://other.example.org"})
    assert "access-control-allow-origin" not in listed.headers


def test_a_named_origin_opens_the_api_and_nothing_else() -> None:
    origins = NamedOrigins(list, [PAGE])
    assert origins.may_ask("/v1/models", PAGE)
    assert origins.may_ask("/detokenize", PAGE)
    assert not origins.may_ask("/twokeys/live", PAGE)
    assert not origins.may_ask("/_stcore/stream", PAGE)


@pytest.mark.parametrize(
    "text", ["*", "", "chat.example.org", "ftp://x", "https://x/y", "https://u@x", "null"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        origin_of(text)


def test_an_origin_is_kept_as_browsers_write_it() -> None:
    assert origin_of(" HTTPS://Chat.Example.org/ ") == PAGE
    assert origin_of("http://localhost:3000") == "http://localhost:3000"
