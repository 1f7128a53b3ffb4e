"""The secret in the address of a server on this machine alone: others here get nothing."""

import os
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus

from twokeys.errors import AccessError
from twokeys.web.entry import ENTRY_FILE, load_entry, same_user

NOBODY = 65534


@pytest.fixture(scope="module")
def locked(start_shared_demo: Callable[..., Demo]) -> Demo:
    return start_shared_demo(DEMO_ENTRY="1")


def get(demo: Demo, path: str, **headers: str) -> httpx.Response:
    return httpx.get(demo.url + path, headers=headers, trust_env=False)


async def opens(demo: Demo, path: str, cookie: str) -> bool:
    headers = {"origin": demo.url, **({"cookie": cookie} if cookie else {})}
    try:
        async with websockets.connect(
            demo.url.replace("http", "ws") + path, additional_headers=headers, proxy=None
        ):
            return True
    except InvalidStatus:
        return False


def test_without_the_secret_no_page_no_file_and_no_socket_opens(locked: Demo) -> None:
    routes = ("/", "/compare", "/media/x.png", "/_stcore/host-config", "/twokeys/health", "/component/x.js")
    for path in routes:
        assert get(locked, path).status_code == 401
    for path in ("/_stcore/stream", "/twokeys/live?topic=" + locked.topic):
        assert not run_scene(opens(locked, path, "twokeys_session_0=1.2.3"))
        assert not run_scene(opens(locked, path, ""))
    assert get(locked, "/twokeys/open?key=wrong").status_code == 401
    assert get(locked, "/twokeys/open?ticket=9999999999.a.b").status_code == 401
    assert get(locked, "/_stcore/health").text == "ok"


def test_the_page_of_who_is_not_let_in_says_what_to_do_in_both_languages(locked: Demo) -> None:
    chinese = get(locked, "/", accept="text/html", **{"accept-language": "zh-CN"})
    assert chinese.status_code == 401
    assert "这里的门锁着" in chinese.text
    assert "twokeys ui --print-address" in chinese.text
    assert "This door is locked" in get(locked, "/?lang=en", accept="text/html").text


def test_the_printed_address_lets_in_for_pages_and_sockets(locked: Demo) -> None:
    answer = httpx.get(locked.opens, trust_env=False)
    assert answer.status_code == 200
    set_cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=strict" in set_cookie
    cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    assert get(locked, "/", cookie=cookie).status_code == 200
    for path in ("/_stcore/stream", "/twokeys/live?topic=" + locked.topic):
        assert run_scene(opens(locked, path, cookie))


def test_a_ticket_is_good_once(locked: Demo) -> None:
    address = load_entry(locked.home).ticket_address(locked.url, locked.home)
    assert load_entry(locked.home).secret not in address
    assert httpx.get(address, trust_env=False).status_code == 200
    assert httpx.get(address, trust_env=False).status_code == 401


def test_a_ticket_is_good_for_a_short_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = load_entry(tmp_path)
    ticket = entry.ticket_address("", tmp_path).partition("ticket=")[2]
    sessions = entry.sessions(tmp_path)
    assert sessions.signed(ticket, "ticket")
    assert sessions.claim(ticket) is None
    later = time.time() + 121
    monkeypatch.setattr(sessions, "_clock", lambda: later)
    assert sessions.signed(ticket, "ticket") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose a connection is")
def test_a_ticket_that_another_user_saw_is_worth_nothing() -> None:
    """As root a connection of somebody else is made too; anybody else has only their own."""

    def is_same_user(user: int) -> bool:
        me = os.geteuid()
        os.seteuid(user)
        try:
            connected = socket.socket()  # belongs to who makes it
        finally:
            os.seteuid(me)
        with connected, socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            connected.connect(("127.0.0.1", port))
            accepted, client = server.accept()
            with accepted:
                return same_user({"client": client, "server": ("127.0.0.1", port)})

    assert is_same_user(os.geteuid())
    if os.geteuid() == 0:
        assert not is_same_user(NOBODY)


def test_the_secret_is_kept_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = load_entry(tmp_path)
    path = tmp_path / ENTRY_FILE
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
    assert load_entry(tmp_path) == made
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for broken in ("{}", "no json", '{"secret": "", "signing_key": ""}'):
        path.write_text(broken)
        with pytest.raises(AccessError):
            load_entry(tmp_path)


@pytest.mark.browser
def test_a_browser_opened_once_with_the_address_stays_in(locked: Demo, page: Page) -> None:
    page.goto(locked.page())
    expect(page.get_by_text("twokeys ui --print-address")).to_be_visible()
    page.goto(locked.opens)
    page.wait_for_url(f"{locked.url}/")
    page.goto(locked.page())
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
