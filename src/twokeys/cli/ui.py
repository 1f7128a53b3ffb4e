"""`twokeys ui`, and `twokeys` alone: serve the app and say where it is.

With no model yet, the smallest Qwen2.5 that can be reached is fetched in the background while the
page is already up; nothing larger is ever fetched unasked.
"""

import logging
import os
import sys
import threading
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.config import Config, prepare_home
from twokeys.errors import BadInput, Reason, TwoKeysError
from twokeys.i18n import translate
from twokeys.units import bytes_text

if TYPE_CHECKING:
    from twokeys.cli.running import Presence, RunningApp
    from twokeys.services import Services
    from twokeys.web.server import Listening

log = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765

AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        envvar="TWOKEYS_ALLOWED_HOST",
        show_envvar=False,
        help="ui.allowed_host",
    ),
]
BasePath = Annotated[
    str,
    typer.Option(
        "--base-path",
        metavar="PATH",
        envvar="TWOKEYS_BASE_PATH",
        show_envvar=False,
        show_default=False,
        help="ui.base_path",
    ),
]
TrustedProxy = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        metavar="IP",
        envvar="TWOKEYS_TRUSTED_PROXY",
        show_envvar=False,
        help="ui.trusted_proxy",
    ),
]


def ui(
    context: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="ui.port", min=0, max=65535)
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option("--host", metavar="H", help="ui.host")] = DEFAULT_HOST,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="ui.no_browser")] = False,
    allowed_host: AllowedHost = None,
    base_path: BasePath = "",
    trusted_proxy: TrustedProxy = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", envvar="TWOKEYS_NO_TOKEN", show_envvar=False, help="ui.no_token")
    ] = False,
    print_address: Annotated[bool, typer.Option("--print-address", help="ui.print_address")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ui.yes")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.cli.running import Presence

    call = Invocation.of(context, model, as_json)
    config = call.config()
    prepare_home(config)
    opens = not no_browser and not as_json and can_open_browser(os.environ, sys.platform)
    presence = Presence(config.run_dir)
    if print_address or (port, host, call.model) == (DEFAULT_PORT, DEFAULT_HOST, None):
        other = presence.other()
        if other is not None:
            show_running(other, config, call.out, opens=opens and not print_address, bare=print_address)
            return
    if print_address:
        raise BadInput(reason=Reason("cli.ui.none_runs"))
    options = ServeOptions(
        host,
        port,
        opens,
        questions=not yes,
        token=not no_token,
        allowed_hosts=tuple(allowed_host or ()),
        base_path=base_path,
        trusted_proxies=tuple(trusted_proxy or ()),
    )
    serve_ui(config, call.out, presence, options)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the app is served: see `twokeys ui --help`."""

    host: str
    port: int
    open_browser: bool
    questions: bool
    token: bool
    allowed_hosts: tuple[str, ...]
    base_path: str
    trusted_proxies: tuple[str, ...]


def serve_ui(config: Config, out: Output, presence: "Presence", options: ServeOptions) -> None:
    """Serve the app until it is asked to end."""
    from twokeys.api.runtime import set_api
    from twokeys.api.server import make_api
    from twokeys.services import build_services
    from twokeys.ui.screens import site
    from twokeys.web.entry import load_entry
    from twokeys.web.security import is_loopback
    from twokeys.web.server import serve

    def say_address(listening: "Listening") -> None:
        presence.give(listening.url)
        if out.as_json:
            out.json({"url": listening.url, "open": listening.opens})
        else:
            out.line(out.text("ui.ready", url=listening.opens))

    services = build_services(config)
    api = make_api(services)
    set_api(api)
    try:
        fetch_first_model(services, out)
        serve(
            services,
            site(),
            host=options.host,
            port=options.port,
            open_browser=options.open_browser,
            language=out.language,
            questions=options.questions,
            allowed_hosts=options.allowed_hosts,
            base_path=options.base_path,
            trusted_proxies=options.trusted_proxies,
            entry=load_entry(config.home) if options.token and is_loopback(options.host) else None,
            on_listening=say_address,
            routes=api.routes(),
            foreign=api.origins.may_ask,
        )
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BadInput(
            reason=Reason("cli.ui.cannot_listen", host=options.host, port=options.port, reason=reason)
        ) from exc
    finally:
        presence.end()
        api.close()
        services.close()


def show_running(other: "RunningApp", config: Config, out: Output, *, opens: bool, bare: bool) -> None:
    """Say where the app that is up can be opened, and open it; bare: the address and nothing else."""
    from twokeys.web.entry import load_entry

    entry = load_entry(config.home)
    address = entry.address(other.url)
    if out.as_json:
        out.json({"url": other.url, "open": address})
    else:
        out.line(address if bare else out.text("ui.runs_already", url=address))
    if opens:
        webbrowser.open(entry.ticket_address(other.url, config.home))


def can_open_browser(env: Mapping[str, str], system: str) -> bool:
    """Whether a browser window can appear here: a terminal with a person and a screen."""
    if not sys.stdout.isatty() or env.get("SSH_CONNECTION"):
        return False
    if system == "linux":
        return bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY") or env.get("WSL_DISTRO_NAME"))
    return True


def fetch_first_model(services: "Services", out: Output) -> threading.Thread | None:
    """With no model here and none named, begin to fetch the smallest one in the background."""
    if services.config.model or any(entry.installed for entry in services.models.list()):
        return None
    worker = threading.Thread(target=_fetch_smallest, args=(services, out), name="first-model", daemon=True)
    worker.start()
    return worker


def _fetch_smallest(services: "Services", out: Output) -> None:
    try:
        smallest = services.models.smallest_reachable()
        if smallest is not None:
            services.models.downloads.start(smallest.name)
    except TwoKeysError as error:
        log.warning("no model could be fetched: %s", error)
        smallest = None
    fetch_engine_for_card(services, out)
    if smallest is None:
        out.note(out.text("ui.cannot_fetch"), "yellow")
        return
    source = translate(f"models.source.{smallest.source}", out.language)
    out.note(out.text("ui.fetching", name=smallest.name, size=bytes_text(smallest.bytes), source=source))


def fetch_engine_for_card(services: "Services", out: Output) -> None:
    """Begin to fetch the engine for this machine's own card, if it has one, and say so."""
    best = services.builds.recommended()
    if best is not None and best.card is not None:
        services.adoption.start(best.build.name)
        out.note(out.text("ui.engine", name=best.build.name, card=best.card.name))
