"""The server of `twokeys ui`: Streamlit as an ASGI app with our routes and guards around it.

Binds the port itself (the next free one when the wanted one is taken), says the address, opens
the browser once the page can be served, and leaves within about a second when asked to.
"""

import asyncio
import contextlib
import getpass
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from twokeys.errors import AccessError, Reason
from twokeys.i18n import negotiate, translate
from twokeys.web.access import MIN_PASSWORD, PasswordDoor, PasswordFile, ensure_password
from twokeys.web.answer_files import answer_file_routes
from twokeys.web.base_path import BasePathMiddleware, base, checked_base, set_base
from twokeys.web.connections import BACKLOG, raise_descriptor_limit, timed_protocol, waiting_for
from twokeys.web.entry import Entry, EntryDoor
from twokeys.web.find import find_routes
from twokeys.web.installation import installation_routes
from twokeys.web.live import LiveRoutes
from twokeys.web.page import page_routes
from twokeys.web.runtime import set_login, set_services
from twokeys.web.security import LOOPBACK_HOSTS, HostRule, SecurityMiddleware, is_loopback, nobody_else
from twokeys.web.sessions import ENDED_FILE, EndedSessions, OpenSockets, SessionGate, Sessions
from twokeys.web.site import Site

if TYPE_CHECKING:
    from twokeys.services import Services
    from twokeys.web.streamlit_seams import App

log = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
PORTS_TRIED = 50
CLOSE_WITHIN_S = 1
NEVER_BYTES = 1e12


def streamlit_config(
    host: str, port: int, theme: Mapping[str, object], allowed_hosts: Iterable[str] = ()
) -> dict[str, object]:
    """Return the options Streamlit is started with: quiet, local, and dressed like the product."""
    options: dict[str, Any] = {
        "global.developmentMode": False,
        # nothing is left out because the browser should still have it: it may have let go of it since, and
        # a page that misses one message is dead
        "global.minCachedMessageSize": NEVER_BYTES,
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableAgentApi": False,
        "server.maxUploadSize": 200,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "client.showSidebarNavigation": False,
        "runner.fastReruns": False,  # a second runner would work on the same state: see whole_runs
        "runner.postScriptGC": False,
        **{f"theme.{name}": value for name, value in theme.items()},
    }
    if is_loopback(host):
        options["server.allowedHosts"] = [*LOOPBACK_HOSTS, *allowed_hosts]
    return options


def build_app(
    services: "Services",
    site: Site,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    password: PasswordFile | None = None,
    entry: Entry | None = None,
    allowed_hosts: Iterable[str] = (),
    base_path: str = "",
    routes: Iterable[BaseRoute] = (),
    foreign: Callable[[str, str], bool] = nobody_else,
) -> "tuple[App, LiveRoutes]":
    """Return the ASGI app and its live routes (to close them first at the end).

    password, entry: one of them, when given, is asked for on every request but the health check.
    allowed_hosts: further names this server is reached by, for instance behind a proxy. base_path: below
    which part of the address, see base_path.py. foreign: see SecurityMiddleware.
    """
    from twokeys.web import streamlit_seams

    allowed_hosts = tuple(allowed_hosts)

    streamlit_seams.check()
    from twokeys.web import whole_runs

    whole_runs.install()
    streamlit_seams.set_options(streamlit_config(host, port, site.theme, allowed_hosts))
    set_services(services)
    live = LiveRoutes(services.jobs)

    @contextlib.asynccontextmanager
    async def lifespan(app: "App") -> AsyncIterator[dict[str, object] | None]:
        try:
            yield None
        finally:
            live.close()

    set_base(base_path)
    below = [Middleware(BasePathMiddleware, path=base())] if base() else []
    hosts = Middleware(SecurityMiddleware, hosts=HostRule(host, allowed_hosts), foreign=foreign)
    set_login(password is not None)
    app = streamlit_seams.App(
        site.script,
        routes=[
            *live.routes(),
            *find_routes(services),
            *answer_file_routes(services),
            *_static_routes(),
            *installation_routes(site.theme),
            *page_routes(site.pages),
            *routes,
        ],
        middleware=[*below, hosts, *_gate(services.config.home, password, entry)],
        lifespan=lifespan,
    )
    return app, live


def _gate(home: Path, password: PasswordFile | None, entry: Entry | None) -> list[Middleware]:
    """Return what lets only those in who have the password, or the secret of a server on loopback."""
    sockets = OpenSockets()
    door: PasswordDoor | EntryDoor
    if password is not None:
        sessions = Sessions(password.signing_key(), EndedSessions(home / ENDED_FILE))
        door = PasswordDoor(password, sessions, sockets)
    elif entry is not None:
        sessions = entry.sessions(home)
        door = EntryDoor(entry, sessions)
    else:
        return []
    return [Middleware(SessionGate, sessions=sessions, door=door, sockets=sockets)]


def _static_routes() -> list[BaseRoute]:
    async def mark(request: Request) -> Response:
        picture = files("twokeys.web").joinpath("static", "mark.svg").read_bytes()
        return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    # Streamlit's page asks for this picture; one given by st.set_page_config would load numpy and Pillow
    return [Route(path, mark, methods=["GET"]) for path in ("/twokeys/mark.svg", "/favicon.png")]


class Server(uvicorn.Server):
    """A uvicorn server that ends our streams first and does not raise its signals again."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_exit: Callable[[], None]
    ) -> None:
        self._waiting = waiting_for(raise_descriptor_limit())
        config.http = timed_protocol(self._waiting)
        super().__init__(config)
        self._on_ready = on_ready
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._waiting.handle)
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_exit()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last one exists on Windows only
        caught = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, self.handle_exit) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave gracefully at the first signal, at once at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens. opens: what a person opens, with the secret where there is one."""

    url: str
    host: str
    port: int
    opens: str


def serve(
    services: "Services",
    site: Site,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_browser: bool = True,
    *,
    language: str | None = None,
    on_listening: Callable[[Listening], None] | None = None,
    ask_password: Callable[[], str] | None = None,
    questions: bool = True,
    allowed_hosts: Iterable[str] = (),
    base_path: str = "",
    trusted_proxies: Iterable[str] = (),
    entry: Entry | None = None,
    routes: Iterable[BaseRoute] = (),
    foreign: Callable[[str, str], bool] = nobody_else,
) -> None:
    """Serve the app until it is asked to end; closes the services at the end.

    port: 0 for any; a taken port makes way for the next free one. on_listening: called with the
    address instead of printing it. ask_password: asks a person for a new password; by default in
    the terminal, if there is one. TWOKEYS_PASSWORD sets it without asking. questions: False asks
    nobody anything. trusted_proxies: addresses whose X-Forwarded-For is believed. entry: what opens a
    server on loopback; None lets every program of this machine in. routes: more of our own.
    foreign: which pages of other origins may ask them.

    Raises AccessError when a host other than loopback has no password, OSError when the address
    cannot be bound at all.
    """
    language = language or _surrounding_language()
    announce = on_listening or (lambda listening: _print_address(language, listening))
    password = _password(services.config.home, host, _asking(language, ask_password) if questions else None)
    with _listening(services, host, port) as bound:
        entry = entry if password is None else None
        listening = listening_at(bound, host, entry, checked_base(base_path))
        _tell_moved(language, port, listening.port)
        app, live = build_app(
            services,
            site,
            host=host,
            port=listening.port,
            password=password,
            entry=entry,
            allowed_hosts=allowed_hosts,
            base_path=base_path,
            routes=routes,
            foreign=foreign,
        )

        def ready() -> None:
            announce(listening)
            if open_browser:
                _browse(listening.url, entry, services.config.home)
            _warm_up(site, services)

        configured = uvicorn_config(app, listening, trusted_proxies)
        asyncio.run(Server(configured, ready, live.close).serve(sockets=[bound]))


@contextlib.contextmanager
def _listening(services: "Services", host: str, port: int) -> Iterator[socket.socket]:
    """Listen while the app is served; at the end the address is free again and the services are closed."""
    bound = bind(host, port)
    try:
        yield bound
    finally:
        bound.close()
        set_services(None)
        services.close()


def _surrounding_language() -> str:
    return negotiate(os.environ.get("LC_ALL") or os.environ.get("LANG"))


def _asking(language: str, ask: Callable[[], str] | None) -> Callable[[], str] | None:
    """Return how a person is asked for a new password: `ask`, else in the terminal where there is one."""
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    in_terminal = (lambda: ask_in_terminal(language)) if at_terminal else None
    return ask or in_terminal


def _tell_moved(language: str, wanted: int, port: int) -> None:
    if wanted not in (0, port):
        print(translate("access.moved", language, wanted=wanted, port=port), file=sys.stderr)


def _print_address(language: str, listening: Listening) -> None:
    print(translate("access.listening", language, url=listening.opens), flush=True)


def _warm_up(site: Site, services: "Services") -> None:
    """Begin with what the first page needs, so that nobody waits for it there."""
    if site.warm_up is not None:
        threading.Thread(target=site.warm_up, args=(services,), name="warm-up", daemon=True).start()


def _browse(url: str, entry: Entry | None, home: Path) -> None:
    """Open the page in the person's browser, through the entry where there is one."""
    address = url if entry is None else entry.ticket_address(url, home)
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _password(home: Path, host: str, ask: Callable[[], str] | None) -> PasswordFile | None:
    """Return the password of a server that others can reach. Raises AccessError when there is none."""
    if is_loopback(host):
        return None
    password = PasswordFile(home / "access.json")
    ensure_password(password, ask, os.environ.get("TWOKEYS_PASSWORD"))
    return password


def uvicorn_config(app: Any, listening: Listening, trusted_proxies: Iterable[str] = ()) -> uvicorn.Config:
    proxies = list(trusted_proxies)
    return uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        ws="websockets-sansio",
        ws_ping_interval=30,
        ws_ping_timeout=30,
        ws_max_size=200 * 1024 * 1024,
        ws_per_message_deflate=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        backlog=BACKLOG,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=CLOSE_WITHIN_S,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket on `port`, or on the next free port above it.

    It says that it is TCP's: only then asyncio sends each small piece of an answer at once, where the
    system would hold the second back for up to 40 ms.
    Raises OSError when no port of PORTS_TRIED is free or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last: OSError | None = None
    for candidate in range(port, port + PORTS_TRIED) if port else (0,):
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, candidate))
            bound.listen(BACKLOG)
        except (OSError, OverflowError) as exc:
            bound.close()
            last = exc if isinstance(exc, OSError) else OSError(str(exc))
            if isinstance(exc, OverflowError) or not _taken(exc):
                break
            continue
        bound.setblocking(False)
        bound.set_inheritable(False)
        return bound
    raise last or OSError(f"no free port from {port}")


def _taken(error: OSError) -> bool:
    import errno

    return error.errno in (errno.EADDRINUSE, errno.EACCES)


def listening_at(
    bound: socket.socket, host: str, entry: Entry | None = None, base_path: str = ""
) -> Listening:
    port = int(bound.getsockname()[1])
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    url = f"http://{shown}:{port}{base_path}"
    return Listening(url, host, port, url if entry is None else entry.address(url))


def ask_in_terminal(language: str) -> str:
    """Ask twice for a new password in the terminal.

    Raises AccessError when the person gives up (end of input).
    """
    while True:
        try:
            first = getpass.getpass(translate("access.ask", language, minimum=MIN_PASSWORD))
            if len(first) < MIN_PASSWORD:
                print(translate("access.length", language, minimum=MIN_PASSWORD), file=sys.stderr)
                continue
            if getpass.getpass(translate("access.repeat", language)) == first:
                return first
            print(translate("access.differ", language), file=sys.stderr)
        except EOFError as exc:
            raise AccessError(reason=Reason("access.needed")) from exc
