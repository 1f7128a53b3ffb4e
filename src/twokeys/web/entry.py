"""The door of a server on this machine alone: an address with a secret, as other users share its loopback.

The secret and the key that signs sessions are one file of the data folder that only its owner can read.
Who opens `/twokeys/open?key=SECRET` gets a session's cookie. The browser that TwoKeys starts itself gets a
ticket instead, because every user can read a program's arguments: it is good once, for two minutes, and on
Linux only from a program of the same user. Cookies and sockets are `sessions.py`'s.
"""

import contextlib
import hmac
import html
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Scope

from twokeys.errors import AccessError, Reason
from twokeys.files import write_whole
from twokeys.i18n import LANGUAGES, negotiate, translate
from twokeys.web.base_path import base
from twokeys.web.card import card_page
from twokeys.web.sessions import ENDED_FILE, EndedSessions, Sessions

ENTRY_FILE = "entry.json"
OPEN_PATH = "/twokeys/open"
TICKET_S = 120
_TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Entry:
    """What opens the app of one data folder."""

    secret: str
    signing_key: str

    def sessions(self, home: Path) -> Sessions:
        return Sessions(self.signing_key.encode(), EndedSessions(home / ENDED_FILE))

    def address(self, url: str) -> str:
        """Return the address to keep for oneself."""
        return f"{url}{OPEN_PATH}?{urlencode({'key': self.secret})}"

    def ticket_address(self, url: str, home: Path) -> str:
        """Return an address that works once and soon."""
        claim = f"{int(time.time()) + TICKET_S}.{secrets.token_urlsafe(12)}"
        ticket = self.sessions(home).sign(claim, _TICKET)
        return f"{url}{OPEN_PATH}?{urlencode({'ticket': ticket})}"


def load_entry(home: Path) -> Entry:
    """Return the entry of a data folder, made at the first time.

    Raises AccessError when it cannot be read, OSError when it cannot be written.
    """
    path = home / ENTRY_FILE
    if not path.exists():
        made = {"secret": secrets.token_urlsafe(16), "signing_key": secrets.token_urlsafe(32)}
        with contextlib.suppress(FileExistsError):  # another start was faster
            write_whole(path, json.dumps(made).encode("ascii"), replace=False)
    try:
        path.chmod(0o600)
        record = json.loads(path.read_text(encoding="ascii"))
        entry = Entry(str(record["secret"]), str(record["signing_key"]))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise AccessError(reason=Reason("errors.reason.access_unreadable", path=path, detail=exc)) from exc
    if min(len(entry.secret), len(entry.signing_key)) < 16:
        raise AccessError(reason=Reason("errors.reason.access_unreadable", path=path, detail="short"))
    return entry


class EntryDoor:
    """Gives a session to who has the address."""

    paths = frozenset({OPEN_PATH})

    def __init__(self, entry: Entry, sessions: Sessions) -> None:
        self._entry = entry
        self._sessions = sessions
        self._used: dict[str, float] = {}

    async def answer(self, request: Request) -> Response:
        if request.method != "GET":
            return PlainTextResponse("Method not allowed", status_code=405)
        if not self._opens(request):
            return self.refuse(request.scope)
        # Not a redirect: after a link on another site the browser would not send the new cookie with it.
        page = HTMLResponse(
            '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;'
            f'url={base()}/">'
            "<title>TwoKeys</title>",
            headers={"Cache-Control": "no-store"},
        )
        self._sessions.put(page, self._sessions.issue(), secure=request.url.scheme == "https")
        return page

    def refuse(self, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
            return PlainTextResponse("Open the address that `twokeys ui` prints", status_code=401)
        asked = Request(scope).query_params.get("lang")
        return closed_page(asked if asked in LANGUAGES else negotiate(headers.get("accept-language")))

    def _opens(self, request: Request) -> bool:
        key, ticket = request.query_params.get("key"), request.query_params.get("ticket")
        if key is not None:
            return hmac.compare_digest(key.encode(), self._entry.secret.encode())
        claim = self._sessions.signed(ticket, _TICKET)
        now = time.monotonic()
        self._used = {name: until for name, until in self._used.items() if until > now}
        if claim is None or claim in self._used or not same_user(request.scope):
            return False
        self._used[claim] = now + TICKET_S
        return True


def closed_page(language: str) -> Response:
    """Return the page of someone without a session."""

    def say(key: str) -> str:
        return html.escape(translate(f"access.closed.{key}", language))

    body = f"<p>{say('lead')}</p><p><code>twokeys ui --print-address</code></p><p>{say('why')}</p>"
    switch = f"/?lang={'en' if language == 'zh' else 'zh'}"
    headers = {"Cache-Control": "no-store"}
    return card_page(language, say("title"), body, switch=switch, status=401, headers=headers)


def same_user(scope: Scope) -> bool:
    """Return whether a connection over loopback comes from this user's programs, or from root's.

    True where the system does not tell (only Linux does).
    """
    client, server = scope.get("client"), scope.get("server")
    if not sys.platform.startswith("linux") or not client or not server:
        return True
    return _owners_of_port(int(client[1]), int(server[1])) <= {0, os.getuid()}


def _owners_of_port(port: int, other: int) -> set[int]:
    """Return the users of the TCP sockets with this local port that are connected to the other one."""
    owners: set[int] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except (OSError, ValueError):
            continue
        for row in rows:
            fields = row.split()
            local, remote = (int(fields[column].rpartition(":")[2], 16) for column in (1, 2))
            if (local, remote) == (port, other):
                owners.add(int(fields[7]))
    return owners
