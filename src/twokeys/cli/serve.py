"""`twokeys serve`: the OpenAI-compatible API without the screens, which `twokeys ui` serves beside them."""

from typing import Annotated

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.errors import BadInput, Reason

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8766


def serve(
    context: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="serve.port", min=0, max=65535)
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option("--host", metavar="H", help="serve.host")] = DEFAULT_HOST,
    allow_origin: Annotated[
        list[str] | None, typer.Option("--allow-origin", metavar="URL", help="serve.allow_origin")
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.api.server import serve_api
    from twokeys.services import build_services

    call = Invocation.of(context, model, as_json)
    out = call.out

    def say_address(url: str) -> None:
        base_url = f"{url}/v1"
        if out.as_json:
            out.json({"url": url, "base_url": base_url})
        else:
            out.line(out.text("serve.ready", url=base_url))
            out.note(out.text("serve.key"))

    services = build_services(call.config())
    try:
        serve_api(
            services,
            host,
            port,
            on_listening=lambda listening: say_address(listening.url),
            allowed_origins=allow_origin or (),
        )
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BadInput(reason=Reason("cli.ui.cannot_listen", host=host, port=port, reason=reason)) from exc
    finally:
        services.close()
