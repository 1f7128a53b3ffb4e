"""Headers, hosts and origins, asked of a running server."""

from collections.abc import Callable

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene
from websockets.exceptions import InvalidStatus

from twokeys.web.security import HostRule, content_security_policy, is_loopback, same_origin, split_host


def get(demo: Demo, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, demo.url + path, headers=headers, trust_env=False)


def connects(demo: Demo, path: str, name: str = "127.0.0.1", **headers: str) -> bool:
    port = int(demo.url.rpartition(":")[2])

    async def attempt() -> bool:
        url = f"ws://{name}:{port}{path}"
        try:
            async with websockets.connect(
                url, host="127.0.0.1", port=port, additional_headers=headers, proxy=None, open_timeout=5
            ):
                return True
        except InvalidStatus as refused:
            assert refused.response.status_code == 403
            return False

    return run_scene(attempt())


def test_every_answer_carries_the_policy_and_its_friends(shared_demo: Demo) -> None:
    for path in ("/", "/_stcore/health", "/twokeys/health", "/twokeys/mark.svg"):
        headers = get(shared_demo, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "img-src 'self' data: blob:" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_another_host_name_is_refused_everywhere(shared_demo: Demo) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""):
        assert get(shared_demo, "/", host=host).status_code in (400, 403)
        assert get(shared_demo, "/twokeys/health", host=host).status_code in (400, 403)
    port = shared_demo.url.rpartition(":")[2]
    assert get(shared_demo, "/", host=f"localhost:{port}").status_code == 200
    assert not connects(
        shared_demo, "/twokeys/live?topic=x", name="evil.example", origin=f"http://evil.example:{port}"
    )


@pytest.mark.parametrize("path", ["/twokeys/live?topic=x", "/_stcore/stream"])
def test_a_websocket_needs_the_page_s_own_origin(shared_demo: Demo, path: str) -> None:
    assert not connects(shared_demo, path)
    assert not connects(shared_demo, path, origin="http://evil.example")
    assert not connects(shared_demo, path, origin="null")
    assert not connects(shared_demo, path, origin=shared_demo.url.replace("127.0.0.1", "localhost"))
    assert connects(shared_demo, path, origin=shared_demo.url)


def test_a_foreign_page_cannot_stop_a_job(shared_demo: Demo) -> None:
    assert get(shared_demo, "/twokeys/jobs/x/stop", "POST", origin="http://evil.example").status_code == 403
    assert get(shared_demo, "/twokeys/jobs/x/stop", "POST").status_code == 403
    assert get(shared_demo, "/twokeys/jobs/x/stop", "POST", origin=shared_demo.url).status_code == 200


def test_the_server_is_not_reachable_from_other_addresses(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo()
    port = int(demo.url.rpartition(":")[2])
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.2:{port}/", trust_env=False)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8765", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:8765", "::1"),
        ("host.", "host"),
        ("a@b", None),
        ("a b", None),
        ("a/b", None),
        ("a:notaport", None),
        ("", None),
        (None, None),
    ],
)
def test_the_host_header_is_read_strictly(header: str | None, name: str | None) -> None:
    assert split_host(header) == name


def test_a_network_server_accepts_addresses_but_no_foreign_name() -> None:
    rule = HostRule("0.0.0.0", ["chat.home"])
    assert rule.allows("192.168.1.5:8765")
    assert rule.allows("[fe80::1]:8765")
    assert rule.allows("chat.home")
    assert not rule.allows("rebind.example")
    assert not HostRule("127.0.0.1").allows("192.168.1.5")


def test_loopback_is_recognised() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.2", "example.org"))


def test_origins_must_match_host_and_port() -> None:
    assert same_origin("http://127.0.0.1:8765", "127.0.0.1:8765")
    assert not same_origin("http://127.0.0.1:8766", "127.0.0.1:8765")
    assert not same_origin("ftp://127.0.0.1:8765", "127.0.0.1:8765")
    assert not same_origin(None, "127.0.0.1:8765")


def test_the_policy_allows_sockets_to_this_host_only() -> None:
    assert "connect-src 'self' ws://h:1 wss://h:1" in content_security_policy("h:1")
