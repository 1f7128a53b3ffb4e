"""The door of a server that others can reach: a password.

Only used when `--host` is not a loopback address. The password is kept as a scrypt hash in a file
only its owner can read; sessions (`sessions.py`) end with it. Wrong tries from one address are slowed
down, each twice as long as the one before; a browser that was let in before is counted by itself, so that
its neighbours' tries do not shut it out. This module does not encrypt the connection: put TLS in front of it
on a network you do not trust.
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
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Scope

from twokeys.errors import AccessError, Reason
from twokeys.i18n import LANGUAGES, negotiate, translate
from twokeys.web.card import card_page
from twokeys.web.sessions import OpenSockets, Sessions

LOGIN_PATH = "/twokeys/login"
LOGOUT_PATH = "/twokeys/logout"
DEVICE_COOKIE = "twokeys_device"
DEVICE_S = 365 * 24 * 3600
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
MAX_FORM_BYTES = 8192
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
FREE_TRIES = 3
FORM_WITHIN_S = 10.0
MAX_FORMS = 32
"""Sign-in forms that may be on their way or waiting at once; one more is asked to come back."""

MAX_DIGESTS = 2
"""Passwords compared at once: each takes 32 MiB and a tenth of a second."""

_DEVICE = "device"
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
        if len(password) < MIN_PASSWORD:
            raise AccessError(reason=Reason("access.length", minimum=MIN_PASSWORD))
        if len(password) > MAX_PASSWORD:
            raise AccessError(reason=Reason("access.too_long", most=MAX_PASSWORD))
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


class Tries:
    """Wrong tries per address (an IPv6 network of 64 bits counts as one address).

    The first FREE_TRIES cost nothing; then each doubles the wait, up to LONGEST_WAIT_S.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_addresses: int = 4096) -> None:
        self._clock = clock
        self._max = max_addresses
        self._failures: dict[str, tuple[int, float]] = {}
        self._under_way: dict[str, int] = {}

    def wait_s(self, address: str) -> float:
        """Return how many seconds this address has to wait before its next try, 0 for none."""
        _, until = self._failures.get(_network(address), (0, 0.0))
        return max(0.0, until - self._clock())

    def begin(self, address: str) -> float:
        """Return how long to wait, or 0 when this try may be made now; `end` has to follow it then.

        Tries under way count as wrong ones until they end, so that nobody gains by trying all at once.
        """
        name = _network(address)
        wait_s = self.wait_s(address)
        if wait_s > 0:
            return wait_s
        count = self._failures.get(name, (0, 0.0))[0]
        under_way = self._under_way.get(name, 0)
        if under_way and count + under_way >= FREE_TRIES:
            return FIRST_WAIT_S
        self._under_way[name] = under_way + 1
        return 0.0

    def end(self, address: str, *, right: bool) -> None:
        name = _network(address)
        self._under_way[name] -= 1
        if not self._under_way[name]:
            del self._under_way[name]
        if right:
            self.succeeded(address)
        else:
            self.failed(address)

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


class PasswordDoor:
    """Gives a session to who has the password, and ends it for who leaves."""

    paths = frozenset({LOGIN_PATH, LOGOUT_PATH})

    def __init__(
        self, passwords: PasswordFile, sessions: Sessions, sockets: OpenSockets, tries: Tries | None = None
    ) -> None:
        self._passwords = passwords
        self._sessions = sessions
        self._sockets = sockets
        self._tries = tries or Tries()
        self._digests = asyncio.Semaphore(MAX_DIGESTS)
        self._forms = 0

    async def answer(self, request: Request) -> Response:
        if request.method not in ("GET", "POST"):
            return PlainTextResponse("Method not allowed", status_code=405)
        if request.url.path == LOGOUT_PATH:
            return logout_page(request) if request.method == "GET" else self._logout(request)
        if request.method == "GET":
            return login_page(request)
        if self._forms >= MAX_FORMS:
            return login_page(request, status=429, wait_s=FIRST_WAIT_S)
        self._forms += 1
        try:
            return await self._login(request)
        finally:
            self._forms -= 1

    def refuse(self, scope: Scope) -> Response:
        if scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            wanted = quote(scope["path"]) + (f"?{query}" if query else "")
            return RedirectResponse(f"{LOGIN_PATH}?{urlencode({'next': wanted})}", status_code=303)
        return PlainTextResponse("Log in first", status_code=401)

    async def _login(self, request: Request) -> Response:
        device = self._sessions.signed(request.cookies.get(DEVICE_COOKIE), _DEVICE)
        counted = device or (request.client.host if request.client else "")
        password = await _posted_password(request)
        if (wait_s := self._tries.begin(counted)) > 0:
            return login_page(request, status=429, wait_s=wait_s)
        right = False
        try:
            async with self._digests:
                right = await asyncio.to_thread(self._passwords.verify, password)
        finally:
            self._tries.end(counted, right=right)
        if not right:
            return login_page(request, status=401, wait_s=self._tries.wait_s(counted))
        answer = RedirectResponse(_safe_target(request.query_params.get("next")), status_code=303)
        secure = request.url.scheme == "https"
        self._sessions.put(answer, self._sessions.issue(), secure=secure)
        known = self._sessions.sign(f"{int(time.time()) + DEVICE_S}.{secrets.token_urlsafe(12)}", _DEVICE)
        answer.set_cookie(
            DEVICE_COOKIE, known, max_age=DEVICE_S, httponly=True, samesite="strict", secure=secure
        )
        return answer

    def _logout(self, request: Request) -> Response:
        claim = self._sessions.claim(request.cookies.get(self._sessions.cookie))
        if claim is not None:
            self._sessions.end(claim)
            self._sockets.close(claim)
        answer = RedirectResponse(LOGIN_PATH, status_code=303)
        answer.delete_cookie(self._sessions.cookie, httponly=True, samesite="strict")
        return answer


async def _posted_password(request: Request) -> str:
    """Return what a sign-in form holds; too large or too slow a form holds nothing."""
    body = b""
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    return ""
    except TimeoutError:
        return ""
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    return fields.get("password", [""])[0]


def _safe_target(wanted: str | None) -> str:
    """Return a path on this server; anything that could lead elsewhere becomes the start page."""
    if not wanted or not wanted.startswith("/") or wanted[1:2] in ("/", "\\") or "\n" in wanted:
        return "/"
    return "/" if wanted.startswith((LOGIN_PATH, LOGOUT_PATH)) else wanted


# with "no-referrer" a browser would send the form with Origin: null
_FORM_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


def _language(request: Request) -> str:
    asked = request.query_params.get("lang")
    return asked if asked in LANGUAGES else negotiate(request.headers.get("accept-language"))


def login_page(request: Request, status: int = 200, wait_s: float = 0.0) -> Response:
    """Return the login page in the browser's language (`?lang=` chooses the other one)."""
    language = _language(request)
    other = "en" if language == "zh" else "zh"
    wanted = {"next": request.query_params.get("next", "/")}

    def say(key: str, **values: object) -> str:
        return html.escape(translate(f"access.{key}", language, **values))

    problem = ""
    if status in (401, 429):
        waiting = say("wait", seconds=int(wait_s) + 1) if wait_s > 0 else ""
        problem = say("wrong") if status == 401 else ""
        problem = f'<p class="problem" role="alert">{problem} {waiting}</p>'
    body = _LOGIN.format(
        lead=say("lead"),
        label=say("label"),
        enter=say("enter"),
        problem=problem,
        action=html.escape(f"{LOGIN_PATH}?{urlencode({**wanted, 'lang': language})}"),
    )
    headers = dict(_FORM_HEADERS)
    if wait_s > 0:
        headers["Retry-After"] = str(int(wait_s) + 1)
    switch = f"{LOGIN_PATH}?{urlencode({**wanted, 'lang': other})}"
    return card_page(language, say("title"), body, switch=switch, status=status, headers=headers)


def logout_page(request: Request) -> Response:
    """Return the page that asks whether to leave: a link alone must not log anybody out."""
    language = _language(request)
    other = "en" if language == "zh" else "zh"

    def say(key: str) -> str:
        return html.escape(translate(f"access.logout.{key}", language))

    body = _LOGOUT.format(lead=say("lead"), leave=say("leave"), stay=say("stay"), action=LOGOUT_PATH)
    switch = f"{LOGOUT_PATH}?lang={other}"
    return card_page(language, say("title"), body, switch=switch, headers=_FORM_HEADERS)


_LOGIN = """<p>{lead}</p>
<form method="post" action="{action}">
<label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
{problem}
<button type="submit">{enter}</button>
</form>"""

_LOGOUT = """<p>{lead}</p>
<form method="post" action="{action}">
<button type="submit">{leave}</button>
</form>
<p class="stay"><a href="/">{stay}</a></p>"""
