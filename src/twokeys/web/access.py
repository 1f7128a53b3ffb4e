"""The password in front of a server that others can reach.

Only used when `--host` is not a loopback address. The password is kept as a scrypt hash in a file
only its owner can read; a session is a signed cookie that ends with the password or after 30 days.
Wrong tries from one address are slowed down, each twice as long as the one before. This module
does not encrypt the connection: put TLS in front of it on a network you do not trust.
"""

import asyncio
import base64
import hashlib
import hmac
import html
import ipaddress
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from twokeys.errors import AccessError, Reason
from twokeys.i18n import LANGUAGES, negotiate, translate

COOKIE = "twokeys_session"
LOGIN_PATH = "/twokeys/login"
LOGOUT_PATH = "/twokeys/logout"
OPEN_PATHS = frozenset({LOGIN_PATH, LOGOUT_PATH, "/_stcore/health", "/twokeys/mark.svg"})
OPEN_PREFIXES = ("/v1/", "/tokenize")
"""The API's: it asks for keys of its own."""

SESSION_S = 30 * 24 * 3600
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
MAX_FORM_BYTES = 8192
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
FREE_TRIES = 3
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1
_SCRYPT_MEMORY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Stored:
    salt: bytes
    digest: bytes
    signing_key: bytes


class PasswordFile:
    """The stored password: `access.json` in the data folder, mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def set(self, password: str) -> None:
        """Store a new password; sessions of the old one end.

        Raises AccessError when it is shorter than MIN_PASSWORD or longer than MAX_PASSWORD.
        """
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise AccessError(reason=Reason("access.length", minimum=MIN_PASSWORD))
        salt = secrets.token_bytes(16)
        record = {
            "scheme": f"scrypt:{_SCRYPT_N}:{_SCRYPT_R}:{_SCRYPT_P}",
            "salt": _encode(salt),
            "digest": _encode(_digest(password, salt)),
            "signing_key": _encode(secrets.token_bytes(32)),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(record, file)
        fresh.chmod(0o600)
        fresh.replace(self.path)

    def verify(self, password: str) -> bool:
        """Compare in constant time; takes about a tenth of a second by design."""
        stored = self._read()
        if len(password) > MAX_PASSWORD:
            return False
        return hmac.compare_digest(_digest(password, stored.salt), stored.digest)

    def signing_key(self) -> bytes:
        return self._read().signing_key

    def _read(self) -> _Stored:
        try:
            record = json.loads(self.path.read_text(encoding="ascii"))
            return _Stored(*(_decode(record[name]) for name in ("salt", "digest", "signing_key")))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise AccessError(
                reason=Reason("errors.reason.access_unreadable", path=self.path, detail=exc)
            ) from exc


def ensure_password(file: PasswordFile, ask: Callable[[], str] | None, given: str | None = None) -> None:
    """Make sure a password is stored before a server opens to a network.

    given: a password from the surroundings (it replaces the stored one). ask: asks a person once;
    None when nobody is there. Raises AccessError when there is no password and nobody to ask.
    """
    if given:
        if not file.exists() or not file.verify(given):
            file.set(given)
        return
    if file.exists():
        file.signing_key()
        return
    if ask is None:
        raise AccessError(reason=Reason("access.needed"))
    file.set(ask())


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        maxmem=_SCRYPT_MEMORY,
    )


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")


def _decode(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


class Sessions:
    """Signed cookies: nothing is kept on the server, so a restart keeps people logged in."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def issue(self) -> str:
        claim = f"{int(self._clock()) + SESSION_S}.{secrets.token_urlsafe(12)}"
        return f"{claim}.{self._sign(claim)}"

    def valid(self, cookie: str | None) -> bool:
        claim, _, signature = (cookie or "").rpartition(".")
        if not claim or not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            return False
        expires = claim.partition(".")[0]
        return expires.isdigit() and int(expires) > self._clock()

    def _sign(self, claim: str) -> str:
        return _encode(hmac.digest(self._key, claim.encode("utf-8", "replace"), "sha256"))


class Tries:
    """Wrong tries per address (an IPv6 network of 64 bits counts as one address).

    The first FREE_TRIES cost nothing; then each doubles the wait, up to LONGEST_WAIT_S.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_addresses: int = 4096) -> None:
        self._clock = clock
        self._max = max_addresses
        self._failures: dict[str, tuple[int, float]] = {}

    def wait_s(self, address: str) -> float:
        """Return how many seconds this address has to wait before its next try, 0 for none."""
        _, until = self._failures.get(_network(address), (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, address: str) -> None:
        name = _network(address)
        count = self._failures.pop(name, (0, 0.0))[0] + 1
        over = count - FREE_TRIES
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(over, 30)) if over >= 0 else 0.0
        self._failures[name] = (count, self._clock() + wait)
        while len(self._failures) > self._max:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str) -> None:
        self._failures.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped if parsed.version == 6 else parsed)


class AccessMiddleware:
    """Lets only sessions through; shows the login page to everyone else."""

    def __init__(self, app: ASGIApp, passwords: PasswordFile, tries: Tries | None = None) -> None:
        self._app = app
        self._passwords = passwords
        self._sessions = Sessions(passwords.signing_key())
        self._tries = tries or Tries()
        self._one_at_a_time = asyncio.Semaphore(1)  # a digest takes 32 MiB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if scope["type"] == "http" and path in (LOGIN_PATH, LOGOUT_PATH):
            request = Request(scope, receive)
            answer = self._logout(request) if path == LOGOUT_PATH else await self._login(request)
            await answer(scope, receive, send)
        elif self._sessions.valid(HTTPConnection(scope).cookies.get(COOKIE)) or (
            scope["type"] == "http" and (path in OPEN_PATHS or path.startswith(OPEN_PREFIXES))
        ):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "log in first"})
        else:
            await self._refuse(scope)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response:
        if scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            wanted = quote(scope["path"]) + (f"?{query}" if query else "")
            return RedirectResponse(f"{LOGIN_PATH}?{urlencode({'next': wanted})}", status_code=303)
        return PlainTextResponse("Log in first", status_code=401)

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return login_page(request)
        if request.method != "POST":
            return PlainTextResponse("Method not allowed", status_code=405)
        address = request.client.host if request.client else ""
        password = await _posted_password(request)
        async with self._one_at_a_time:
            wait_s = self._tries.wait_s(address)
            if wait_s > 0:
                return login_page(request, status=429, wait_s=wait_s)
            right = await asyncio.to_thread(self._passwords.verify, password)
            if not right:
                self._tries.failed(address)
        if not right:
            return login_page(request, status=401, wait_s=self._tries.wait_s(address))
        self._tries.succeeded(address)
        answer = RedirectResponse(_safe_target(request.query_params.get("next")), status_code=303)
        answer.set_cookie(
            COOKIE,
            self._sessions.issue(),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _logout(self, request: Request) -> Response:
        if request.method != "POST":
            return PlainTextResponse("Method not allowed", status_code=405)
        answer = RedirectResponse(LOGIN_PATH, status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


async def _posted_password(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return ""
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    return fields.get("password", [""])[0]


def _safe_target(wanted: str | None) -> str:
    """Return a path on this server; anything that could lead elsewhere becomes the start page."""
    if not wanted or not wanted.startswith("/") or wanted[1:2] in ("/", "\\") or "\n" in wanted:
        return "/"
    return "/" if wanted.startswith((LOGIN_PATH, LOGOUT_PATH)) else wanted


def login_page(request: Request, status: int = 200, wait_s: float = 0.0) -> Response:
    """Return the login page in the browser's language (`?lang=` chooses the other one)."""
    asked = request.query_params.get("lang")
    language = asked if asked in LANGUAGES else negotiate(request.headers.get("accept-language"))
    other = "en" if language == "zh" else "zh"
    wanted = {"next": request.query_params.get("next", "/")}

    def say(key: str, **values: object) -> str:
        return html.escape(translate(f"access.{key}", language, **values))

    problem = ""
    if status in (401, 429):
        waiting = say("wait", seconds=int(wait_s) + 1) if wait_s > 0 else ""
        problem = say("wrong") if status == 401 else ""
        problem = f'<p class="problem" role="alert">{problem} {waiting}</p>'
    page = _PAGE.format(
        lang="zh-CN" if language == "zh" else "en",
        title=say("title"),
        lead=say("lead"),
        label=say("label"),
        enter=say("enter"),
        problem=problem,
        action=html.escape(f"{LOGIN_PATH}?{urlencode({**wanted, 'lang': language})}"),
        switch=html.escape(f"{LOGIN_PATH}?{urlencode({**wanted, 'lang': other})}"),
        switch_label=html.escape(translate("access.switch", language)),
        style=_STYLE,
    )
    # with "no-referrer" a browser would send the form with Origin: null
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    if wait_s > 0:
        headers["Retry-After"] = str(int(wait_s) + 1)
    return HTMLResponse(page, status_code=status, headers=headers)


_STYLE = """
:root { color-scheme: light dark; --page: #fdfcfa; --card: #fff; --ink: #21262a; --soft: #646b6c;
  --line: #e3dfd6; --key: #0b6b62; --key-ink: #fff; --bad: #b3382c; }
@media (prefers-color-scheme: dark) { :root { --page: #16191a; --card: #1b1f20; --ink: #e6e8e5;
  --soft: #a2aaa9; --line: #343b3c; --key: #69c6b5; --key-ink: #0e1b19; --bad: #f08a7e; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--page); color: var(--ink); line-height: 1.6; font-family: system-ui, -apple-system,
  "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { width: 100%; max-width: 22rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; padding: 2rem; }
img { width: 2.75rem; height: 2.75rem; display: block; margin-bottom: 1rem; }
h1 { font-size: 1.15rem; line-height: 1.4; margin: 0 0 .25rem; font-weight: 650; }
p { margin: 0 0 1.25rem; color: var(--soft); font-size: .9rem; }
label { display: block; font-size: .85rem; margin-bottom: .35rem; }
input { width: 100%; font: inherit; padding: .6rem .75rem; border-radius: .6rem; color: inherit;
  border: 1px solid var(--line); background: var(--page); }
button { width: 100%; margin-top: 1rem; font: inherit; font-weight: 600; padding: .6rem; border: 0;
  border-radius: .6rem; background: var(--key); color: var(--key-ink); cursor: pointer; }
input:focus-visible, button:focus-visible, a:focus-visible {
  outline: 2px solid var(--key); outline-offset: 2px; }
.problem { color: var(--bad); margin: .75rem 0 0; }
.switch { display: inline-block; margin-top: 1.25rem; font-size: .85rem; color: var(--soft); }
"""

_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/twokeys/mark.svg">
<style>{style}</style>
</head>
<body>
<main>
<img src="/twokeys/mark.svg" alt="">
<h1>{title}</h1>
<p>{lead}</p>
<form method="post" action="{action}">
<label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
{problem}
<button type="submit">{enter}</button>
</form>
<a class="switch" href="{switch}">{switch_label}</a>
</main>
</body>
</html>
"""
