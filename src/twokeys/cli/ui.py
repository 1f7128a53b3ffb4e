"""`twokeys ui`, and `twokeys` alone: serve the app and say where it is.

With no model yet, the smallest Qwen2.5 that can be reached is fetched in the background while the
page is already up; nothing larger is ever fetched unasked.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output
from twokeys.errors import BadInput, Reason, TwoKeysError
from twokeys.i18n import translate
from twokeys.units import bytes_text

if TYPE_CHECKING:
    from twokeys.services import Services
    from twokeys.web.server import Listening

log = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765


def ui(
    context: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="ui.port", min=0, max=65535)
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option("--host", metavar="H", help="ui.host")] = DEFAULT_HOST,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="ui.no_browser")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option("--allowed-host", metavar="NAME", help="ui.allowed_host")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ui.yes")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.api.runtime import set_api
    from twokeys.api.server import make_api
    from twokeys.services import build_services
    from twokeys.ui.screens import site
    from twokeys.web.server import serve

    call = Invocation.of(context, model, as_json)
    out = call.out

    def say_address(listening: "Listening") -> None:
        if out.as_json:
            out.json({"url": listening.url})
        else:
            out.line(out.text("ui.ready", url=listening.url))

    services = build_services(call.config())
    api = make_api(services)
    set_api(api)
    try:
        fetch_first_model(services, out)
        serve(
            services,
            site(),
            host=host,
            port=port,
            open_browser=not no_browser and not as_json and can_open_browser(os.environ, sys.platform),
            language=out.language,
            questions=not yes,
            allowed_hosts=allowed_host or (),
            on_listening=say_address,
            routes=api.routes(),
        )
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BadInput(reason=Reason("cli.ui.cannot_listen", host=host, port=port, reason=reason)) from exc
    finally:
        api.close()
        services.close()


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
    if smallest is None:
        out.note(out.text("ui.cannot_fetch"), "yellow")
        return
    source = translate(f"models.source.{smallest.source}", out.language)
    out.note(out.text("ui.fetching", name=smallest.name, size=bytes_text(smallest.bytes), source=source))
