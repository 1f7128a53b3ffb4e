"""The password of a server that others can reach: stored, asked for, slowed down."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus

from twokeys.errors import AccessError
from twokeys.web.access import DEVICE_COOKIE, PasswordFile, Tries, _safe_target, ensure_password
from twokeys.web.sessions import SESSION_S, EndedSessions, Sessions

PASSWORD = "correct horse 电池"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def guarded(start_shared_demo: Callable[..., Demo]) -> Demo:
    return start_shared_demo(host="0.0.0.0", TWOKEYS_PASSWORD=PASSWORD)


def log_in(
    client: httpx.Client, demo: Demo, password: str, target: str = "/", forwarded: str = ""
) -> httpx.Response:
    return client.post(
        f"{demo.url}/twokeys/login",
        params={"next": target},
        data={"password": password},
        headers={"origin": demo.url, **({"x-forwarded-for": forwarded} if forwarded else {})},
    )


def session_cookie(client: httpx.Client) -> str:
    """Return the Cookie header of the session."""
    return next(
        f"{name}={value}" for name, value in client.cookies.items() if name.startswith("twokeys_session_")
    )


async def connects(demo: Demo, headers: dict[str, str]) -> bool:
    """Return whether both WebSockets open."""
    for path in ("/twokeys/live?topic=x", "/_stcore/stream"):
        address = demo.url.replace("http", "ws") + path
        try:
            async with websockets.connect(address, additional_headers=headers, proxy=None):
                pass
        except InvalidStatus:
            return False
    return True


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
        cookie = session_cookie(client)

    assert not run_scene(connects(guarded, {"origin": guarded.url}))
    assert not run_scene(connects(guarded, {"origin": guarded.url, "cookie": f"{cookie}x"}))
    assert run_scene(connects(guarded, {"origin": guarded.url, "cookie": cookie}))


@pytest.fixture(scope="module")
def tried(start_shared_demo: Callable[..., Demo]) -> Iterator[tuple[Demo, httpx.Client]]:
    """A server after three wrong tries from this address, and a client that was let in before."""
    demo = start_shared_demo(host="0.0.0.0", TWOKEYS_PASSWORD=PASSWORD)
    with httpx.Client(trust_env=False) as known:
        assert log_in(known, demo, PASSWORD).status_code == 303
        for number in range(3):
            wrong = log_in(httpx.Client(trust_env=False), demo, "wrong guess", forwarded=f"10.0.0.{number}")
            assert wrong.status_code == 401
        yield demo, known


def test_wrong_tries_are_slowed_down(tried: tuple[Demo, httpx.Client]) -> None:
    with httpx.Client(trust_env=False) as client:
        blocked = log_in(client, tried[0], PASSWORD)
        assert blocked.status_code == 429
        assert int(blocked.headers["retry-after"]) >= 1
        assert not client.cookies


def test_a_forwarded_address_is_believed_from_nobody(tried: tuple[Demo, httpx.Client]) -> None:
    with httpx.Client(trust_env=False) as client:
        assert log_in(client, tried[0], PASSWORD, forwarded="10.0.0.9").status_code == 429


def test_a_forwarded_address_is_believed_from_a_proxy_that_was_named(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo(host="0.0.0.0", TWOKEYS_PASSWORD=PASSWORD, DEMO_PROXIES="127.0.0.1")
    for number in range(5):
        with httpx.Client(trust_env=False) as client:
            assert log_in(client, demo, "wrong guess", forwarded=f"10.0.0.{number}").status_code == 401


def test_a_browser_that_was_let_in_before_is_not_shut_out_by_its_neighbours(
    tried: tuple[Demo, httpx.Client],
) -> None:
    demo, known = tried
    assert DEVICE_COOKIE in known.cookies
    assert log_in(known, demo, PASSWORD).status_code == 303


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


def test_sessions_end_and_cannot_be_forged(tmp_path: Path) -> None:
    clock = Clock()
    ended = EndedSessions(tmp_path / "ended.json")
    sessions = Sessions(b"k" * 32, ended, clock)
    cookie = sessions.issue()
    assert sessions.claim(cookie)
    expires, rest = cookie.split(".", 1)
    assert not sessions.claim(f"{int(expires) + 9999}.{rest}")
    assert not Sessions(b"q" * 32, ended, clock).claim(cookie)
    assert not sessions.signed(cookie, "device")
    for bad in (None, "", ".", "..", "a.b.c", "é.b.c"):
        assert not sessions.claim(bad)
    clock.now += SESSION_S + 1
    assert not sessions.claim(cookie)


def test_a_session_that_was_logged_out_stays_so_in_other_apps_and_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "ended.json"
    here, there = (Sessions(b"k" * 32, EndedSessions(file), Clock()) for _ in range(2))
    gone, other = here.issue(), here.issue()
    assert there.claim(gone)
    claim = here.claim(gone)
    assert claim is not None
    here.end(claim)
    for sessions in (here, there, Sessions(b"k" * 32, EndedSessions(file), Clock())):
        assert sessions.claim(gone) is None
        assert sessions.claim(other)


def test_logging_out_makes_the_cookie_worthless_and_closes_its_sockets(guarded: Demo) -> None:
    with httpx.Client(trust_env=False) as client:
        log_in(client, guarded, PASSWORD)
        assert "Sign out" in client.get(f"{guarded.url}/twokeys/logout").text
        headers = {"origin": guarded.url, "cookie": session_cookie(client)}

        async def scene() -> list[int | None]:
            base = guarded.url.replace("http", "ws")
            sockets = [
                await websockets.connect(f"{base}{path}", additional_headers=headers, proxy=None)
                for path in ("/twokeys/live?topic=x", "/_stcore/stream")
            ]
            answer = await asyncio.to_thread(
                client.post, f"{guarded.url}/twokeys/logout", headers={"origin": guarded.url}
            )
            assert answer.status_code == 303
            for socket in sockets:
                await asyncio.wait_for(socket.wait_closed(), 10)
            return [socket.close_code for socket in sockets]

        assert run_scene(scene()) == [1008, 1008]
        assert not run_scene(connects(guarded, headers))
    page = httpx.get(guarded.url, headers={"cookie": headers["cookie"]}, trust_env=False)
    assert page.status_code == 401


def test_tries_made_all_at_once_gain_nothing(tmp_path: Path) -> None:
    tries = Tries(Clock())
    waits = [tries.begin("10.0.0.1") for _ in range(60)]
    assert waits.count(0.0) == 3
    assert tries.begin("10.0.0.2") == 0.0
    for _ in range(3):
        tries.end("10.0.0.1", right=False)
    assert tries.begin("10.0.0.1") == 1.0


def test_too_long_a_password_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="at most 1024"):
        PasswordFile(tmp_path / "access.json").set("x" * 1025)


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
