"""The password of a server that others can reach: stored, asked for, slowed down."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus

from twokeys.errors import AccessError
from twokeys.web.access import COOKIE, SESSION_S, PasswordFile, Sessions, Tries, _safe_target, ensure_password

PASSWORD = "correct horse 电池"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def guarded(start_demo: Callable[..., Demo]) -> Demo:
    return start_demo(host="0.0.0.0", TWOKEYS_PASSWORD=PASSWORD)


def log_in(client: httpx.Client, demo: Demo, password: str, target: str = "/") -> httpx.Response:
    return client.post(
        f"{demo.url}/twokeys/login",
        params={"next": target},
        data={"password": password},
        headers={"origin": demo.url},
    )


def test_without_a_session_nothing_but_the_login_page_is_served(guarded: Demo) -> None:
    with httpx.Client(trust_env=False) as client:
        page = client.get(guarded.url + "/?c=1", headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"].startswith("/twokeys/login?next=")
        login = client.get(guarded.url + page.headers["location"], headers={"accept-language": "zh-CN"})
        assert "登录 TwoKeys" in login.text
        assert 'lang="zh-CN"' in login.text
        for path in ("/_stcore/host-config", "/twokeys/health", "/static/js/none.js", "/_stcore/metrics"):
            assert client.get(guarded.url + path).status_code == 401
        assert client.get(guarded.url + "/_stcore/health").text == "ok"


def test_the_right_password_opens_pages_and_sockets(guarded: Demo) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = log_in(client, guarded, PASSWORD, "/?c=1")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?c=1"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get(guarded.url + "/").status_code == 200
        session = client.cookies[COOKIE]

    async def connects(headers: dict[str, str]) -> bool:
        url = guarded.url.replace("http", "ws")
        for path in ("/twokeys/live?topic=x", "/_stcore/stream"):
            try:
                async with websockets.connect(url + path, additional_headers=headers, proxy=None):
                    pass
            except InvalidStatus:
                return False
        return True

    assert not run_scene(connects({"origin": guarded.url}))
    assert not run_scene(connects({"origin": guarded.url, "cookie": f"{COOKIE}={session}x"}))
    assert run_scene(connects({"origin": guarded.url, "cookie": f"{COOKIE}={session}"}))


def test_wrong_tries_are_refused_and_slowed_down(guarded: Demo) -> None:
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            assert log_in(client, guarded, "wrong guess").status_code == 401
        blocked = log_in(client, guarded, PASSWORD)
        assert blocked.status_code == 429
        assert int(blocked.headers["retry-after"]) >= 1
        assert COOKIE not in client.cookies


def test_a_foreign_page_cannot_log_anybody_in(guarded: Demo) -> None:
    answer = httpx.post(
        f"{guarded.url}/twokeys/login",
        data={"password": PASSWORD},
        headers={"origin": "http://evil.example"},
        trust_env=False,
    )
    assert answer.status_code == 403


def test_an_oversized_form_is_just_a_wrong_password(guarded: Demo) -> None:
    with httpx.Client(trust_env=False) as client:
        assert log_in(client, guarded, "x" * 100_000).status_code == 401


def test_the_file_holds_a_hash_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "access.json")
    file.set(PASSWORD)
    text = file.path.read_text()
    assert PASSWORD not in text
    assert json.loads(text)["scheme"].startswith("scrypt:")
    if os.name == "posix":
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.verify(PASSWORD)
    assert not file.verify(PASSWORD + "x")
    assert not file.verify("x" * 5000)


def test_a_short_password_and_nobody_to_ask_are_refused(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "access.json")
    with pytest.raises(AccessError):
        file.set("short")
    with pytest.raises(AccessError):
        ensure_password(file, None)
    assert not file.exists()


def test_the_password_is_asked_for_once(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "access.json")
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return PASSWORD

    ensure_password(file, ask)
    ensure_password(file, ask)
    assert asked == [1]
    assert file.verify(PASSWORD)


def test_a_given_password_replaces_the_stored_one_only_when_it_differs(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "access.json")
    ensure_password(file, None, PASSWORD)
    key = file.signing_key()
    ensure_password(file, None, PASSWORD)
    assert file.signing_key() == key
    ensure_password(file, None, "another password")
    assert file.signing_key() != key


def test_a_broken_password_file_is_an_error_and_not_an_open_door(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "access.json")
    file.path.write_text("{}")
    with pytest.raises(AccessError):
        ensure_password(file, lambda: PASSWORD)


def test_sessions_end_and_cannot_be_forged() -> None:
    clock = Clock()
    sessions = Sessions(b"k" * 32, clock)
    cookie = sessions.issue()
    assert sessions.valid(cookie)
    expires, rest = cookie.split(".", 1)
    assert not sessions.valid(f"{int(expires) + 9999}.{rest}")
    assert not Sessions(b"q" * 32, clock).valid(cookie)
    for bad in (None, "", ".", "..", "a.b.c", "é.b.c"):
        assert not sessions.valid(bad)
    clock.now += SESSION_S + 1
    assert not sessions.valid(cookie)


def test_each_wrong_try_doubles_the_wait_of_that_address_only() -> None:
    clock = Clock()
    tries = Tries(clock)
    waits = []
    for _ in range(6):
        tries.failed("10.0.0.1")
        waits.append(tries.wait_s("10.0.0.1"))
    assert waits == [0, 0, 1, 2, 4, 8]
    assert tries.wait_s("10.0.0.2") == 0
    clock.now += 8
    assert tries.wait_s("10.0.0.1") == 0
    for _ in range(40):
        tries.failed("10.0.0.1")
    assert tries.wait_s("10.0.0.1") == 300
    tries.succeeded("10.0.0.1")
    assert tries.wait_s("10.0.0.1") == 0


def test_one_ipv6_network_counts_as_one_address() -> None:
    tries = Tries(Clock())
    for number in range(4):
        tries.failed(f"2001:db8::{number}")
    assert tries.wait_s("2001:db8::ffff") > 0
    assert tries.wait_s("2001:db8:1::1") == 0


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("/?c=1", "/?c=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/twokeys/login", "/"),
        (None, "/"),
    ],
)
def test_after_the_login_only_pages_of_this_server_open(wanted: str | None, target: str) -> None:
    assert _safe_target(wanted) == target


@pytest.mark.browser
def test_a_person_logs_in_through_the_page(guarded: Demo, page: Page) -> None:
    page.goto(guarded.page())
    page.get_by_label("Password").fill("wrong guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("That is not the password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
    assert page.url == guarded.page()
    page.get_by_test_id("stChatInputTextArea").fill("cut")
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    expect(page.locator(".tk-banner")).to_contain_text("Not finished")
