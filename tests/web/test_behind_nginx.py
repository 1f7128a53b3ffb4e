"""The app behind a real nginx: another host name, a path of its own, TLS, WebSockets, a password."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets
from demo_server import Demo, run_scene

from twokeys.engines.worker import free_port
from twokeys.errors import BadParameter
from twokeys.web.base_path import checked_base

NAME = "team.example"
CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name {name};
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    location /keys/ {{
      proxy_pass {app};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_buffering off;
    }}
  }}
}}
"""


@dataclass
class Proxied:
    """nginx in front of a demo server: both are up."""

    demo: Demo
    port: int
    trust: ssl.SSLContext

    @property
    def origin(self) -> str:
        return f"https://{NAME}:{self.port}"

    def client(self) -> httpx.Client:
        """A client that finds the name at this machine, as a team's DNS would say."""
        transport = httpx.HTTPTransport(verify=self.trust)
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", transport=transport, trust_env=False)

    def get(self, client: httpx.Client, path: str, **headers: str) -> httpx.Response:
        return client.get(
            path, headers={"Host": f"{NAME}:{self.port}", **headers}, extensions={"sni_hostname": NAME}
        )

    def socket(self, path: str, origin: str, **headers: str) -> "websockets.connect":
        return websockets.connect(
            f"wss://{NAME}:{self.port}{path}", host="127.0.0.1", ssl=self.trust, server_hostname=NAME,
            origin=websockets.Origin(origin), additional_headers=headers, proxy=None,
        )  # fmt: skip


def _certificate(folder: Path) -> ssl.SSLContext:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


@contextlib.contextmanager
def nginx(folder: Path, demo: Demo) -> Iterator[Proxied]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        pytest.fail("no nginx: scripts/prepare-test-machine.sh installs it on Debian")
    folder.mkdir()
    trust, port = _certificate(folder), free_port()
    app = demo.url.removesuffix("/keys")
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, name=NAME, app=app))
    server = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert server.poll() is None and time.monotonic() < deadline, (folder / "error.log").read_text()
            time.sleep(0.02)
        yield Proxied(demo, port, trust)
    finally:
        server.terminate()
        server.wait(10)


def test_a_name_a_path_and_tls_in_front_of_the_app(start_demo: Callable[..., Demo], tmp_path: Path) -> None:
    demo = start_demo(DEMO_ENTRY="1", DEMO_HOSTS=NAME, DEMO_BASE="keys/", DEMO_PROXIES="127.0.0.1")
    assert demo.opens.startswith(f"{demo.url}/keys/twokeys/open?key=")
    with nginx(tmp_path / "nginx", demo) as proxied, proxied.client() as client:
        assert proxied.get(client, "/keys", Accept="text/html").headers["location"].endswith("/keys/")
        closed = proxied.get(client, "/keys/", Accept="text/html")
        assert closed.status_code == 401 and 'src="/keys/twokeys/mark.svg"' in closed.text
        assert proxied.get(client, "/keys/twokeys/mark.svg").headers["content-type"] == "image/svg+xml"
        entered = proxied.get(client, "/keys" + demo.opens.partition("/keys")[2])
        assert "url=/keys/" in entered.text
        cookie = entered.headers["set-cookie"]
        assert "secure" in cookie.lower(), "behind TLS a cookie is for TLS alone"
        session = cookie.partition(";")[0]
        page = proxied.get(client, "/keys/compare", Cookie=session)
        assert page.status_code == 200 and 'src="./twokeys/base.js"' in page.text
        assert f"wss://{NAME}:{proxied.port}" in page.headers["content-security-policy"]
        assert proxied.get(client, "/keys/twokeys/base.js", Cookie=session).status_code == 200
        assert proxied.get(client, "/keys/_stcore/health").text == "ok"

        async def scene() -> None:
            async with proxied.socket(
                f"/keys/twokeys/live?topic={demo.topic}", proxied.origin, Cookie=session
            ) as live:
                assert await asyncio.wait_for(live.recv(), 20)
            async with proxied.socket("/keys/_stcore/stream", proxied.origin, Cookie=session) as stream:
                assert stream.response is not None and stream.response.status_code == 101
            for origin, cookies in (("https://evil.example", session), (proxied.origin, "")):
                with pytest.raises(websockets.exceptions.InvalidStatus):
                    async with proxied.socket("/keys/twokeys/live?topic=x", origin, Cookie=cookies):
                        pass

        run_scene(scene())


def test_a_name_that_is_not_allowed_is_refused_behind_the_proxy_too(
    start_demo: Callable[..., Demo], tmp_path: Path
) -> None:
    demo = start_demo(DEMO_BASE="/keys")
    with nginx(tmp_path / "nginx", demo) as proxied, proxied.client() as client:
        assert proxied.get(client, "/keys/").status_code == 403


def test_a_password_asked_for_below_a_path_leads_back_there(start_demo: Callable[..., Demo]) -> None:
    demo = start_demo("0.0.0.0", DEMO_BASE="/keys", TWOKEYS_PASSWORD="correct horse")
    with httpx.Client(base_url=demo.url, trust_env=False) as client:
        asked = client.get("/keys/compare?c=1", headers={"Accept": "text/html"})
        assert asked.status_code == 303 and asked.headers["location"].startswith("/keys/twokeys/login?next=")
        form = client.get(asked.headers["location"])
        assert 'action="/keys/twokeys/login?' in form.text
        sent = client.post(
            asked.headers["location"],
            data={"password": "correct horse"},
            headers={"Origin": demo.url, "Host": demo.url.removeprefix("http://")},
        )
        assert sent.status_code == 303 and sent.headers["location"] == "/keys/compare?c=1"


@pytest.mark.parametrize("path", ["/a b", "/../x", "/a?b", "//evil.example\\x", "/ä"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadParameter):
        checked_base(path)


def test_a_path_has_one_spelling() -> None:
    assert [checked_base(path) for path in ("", "/", "keys", "/keys/", "/a/b")] == [
        "",
        "",
        "/keys",
        "/keys",
        "/a/b",
    ]
