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
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from twokeys.errors import AccessError, Reason
from twokeys.i18n import negotiate, translate
from twokeys.web.access import MIN_PASSWORD, AccessMiddleware, PasswordFile, ensure_password
from twokeys.web.live import LiveRoutes
from twokeys.web.page import page_routes
from twokeys.web.runtime import set_services
from twokeys.web.security import LOOPBACK_HOSTS, HostRule, SecurityMiddleware, is_loopback
from twokeys.web.site import Site

if TYPE_CHECKING:
    from twokeys.services import Services
    from twokeys.web.streamlit_seams import App

log = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
PORTS_TRIED = 50
CLOSE_WITHIN_S = 1


def streamlit_config(
    host: str, port: int, theme: Mapping[str, Any], allowed_hosts: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the options Streamlit is started with: quiet, local, and dressed like the product."""
    options: dict[str, Any] = {
        "global.developmentMode": False,
        "global.minCachedMessageSize": 1000,
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
    allowed_hosts: Iterable[str] = (),
    routes: Iterable[BaseRoute] = (),
) -> "tuple[App, LiveRoutes]":
    """Return the ASGI app and its live routes (to close them first at the end).

    password: asked for on every request but the health check when given. allowed_hosts: further
    names this server is reached by, for instance behind a proxy.
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
    async def lifespan(app: "App") -> AsyncIterator[dict[str, Any] | None]:
        try:
            yield None
        finally:
            live.close()

    middleware = [Middleware(SecurityMiddleware, hosts=HostRule(host, allowed_hosts))]
    if password is not None:
        middleware.append(Middleware(AccessMiddleware, passwords=password))
    app = streamlit_seams.App(
        site.script,
        routes=[*live.routes(), *_static_routes(), *page_routes(site.pages), *routes],
        middleware=middleware,
        lifespan=lifespan,
    )
    return app, live


def _static_routes() -> list[BaseRoute]:
    async def mark(request: Request) -> Response:
        picture = files("twokeys.web").joinpath("static", "mark.svg").read_bytes()
        return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    return [Route("/twokeys/mark.svg", mark, methods=["GET"])]


class Server(uvicorn.Server):
    """A uvicorn server that ends our streams first and does not raise its signals again."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_exit: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
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
    """Where the server listens. url is what a person opens."""

    url: str
    host: str
    port: int


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
    routes: Iterable[BaseRoute] = (),
) -> None:
    """Serve the app until it is asked to end; closes the services at the end.

    port: 0 for any; a taken port makes way for the next free one. on_listening: called with the
    address instead of printing it. ask_password: asks a person for a new password; by default in
    the terminal, if there is one. TWOKEYS_PASSWORD sets it without asking. questions: False asks
    nobody anything. routes: more of our own.

    Raises AccessError when a host other than loopback has no password, OSError when the address
    cannot be bound at all.
    """
    language = language or negotiate(os.environ.get("LC_ALL") or os.environ.get("LANG"))
    password: PasswordFile | None = None
    if not is_loopback(host):
        password = PasswordFile(services.config.home / "access.json")
        ask = ask_password or ((lambda: ask_in_terminal(language)) if sys.stdin.isatty() else None)
        ensure_password(password, ask if questions else None, os.environ.get("TWOKEYS_PASSWORD"))
    bound = bind(host, port)
    try:
        listening = listening_at(bound, host)
        if port not in (0, listening.port):
            print(translate("access.moved", language, wanted=port, port=listening.port), file=sys.stderr)
        app, live = build_app(
            services,
            site,
            host=host,
            port=listening.port,
            password=password,
            allowed_hosts=allowed_hosts,
            routes=routes,
        )

        def ready() -> None:
            if on_listening is not None:
                on_listening(listening)
            else:
                print(translate("access.listening", language, url=listening.url), flush=True)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(listening.url,), daemon=True).start()

        server = Server(uvicorn_config(app, listening), ready, live.close)
        asyncio.run(server.serve(sockets=[bound]))
    finally:
        bound.close()
        set_services(None)
        services.close()


def uvicorn_config(app: Any, listening: Listening) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        ws="websockets-sansio",
        ws_ping_interval=30,
        ws_ping_timeout=30,
        ws_max_size=200 * 1024 * 1024,
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=CLOSE_WITHIN_S,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket on `port`, or on the next free port above it.

    Raises OSError when no port of PORTS_TRIED is free or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last: OSError | None = None
    for candidate in range(port, port + PORTS_TRIED) if port else (0,):
        bound = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, candidate))
            bound.listen(2048)
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


def listening_at(bound: socket.socket, host: str) -> Listening:
    port = int(bound.getsockname()[1])
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return Listening(f"http://{shown}:{port}", host, port)


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
