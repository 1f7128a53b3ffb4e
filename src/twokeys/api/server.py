"""The API alone: `twokeys serve`, without screens. `twokeys ui` has the same routes beside its page."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from twokeys.api.keys import KEYS_FILE, ApiKeys
from twokeys.api.origins import NamedOrigins
from twokeys.api.patience import PATIENCE, Patience
from twokeys.api.routes import ApiRoutes
from twokeys.web.security import HostRule, SecurityMiddleware
from twokeys.web.server import Listening, Server, bind, listening_at, uvicorn_config

if TYPE_CHECKING:
    from twokeys.services import Services

DEFAULT_PORT = 8766


def nothing_to_load(host: str | None) -> str:
    """Return the content security policy of answers that are no page."""
    return "default-src 'none'; frame-ancestors 'none'"


def make_api(
    services: "Services", allowed_origins: Iterable[str] = (), *, patience: Patience = PATIENCE
) -> ApiRoutes:
    """Return the API over the services' data folder.

    allowed_origins: web pages that may ask it, besides those named in the settings. Raises BadInput for what
    is no origin.
    """
    origins = NamedOrigins(services.api_origins, allowed_origins)
    return ApiRoutes(services, ApiKeys(services.config.home / KEYS_FILE), origins, patience)


def serve_api(
    services: "Services",
    host: str,
    port: int,
    *,
    on_listening: Callable[[Listening], None],
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
) -> None:
    """Serve the API until it is asked to end; closes the services at the end.

    port: 0 for any; a taken port makes way for the next free one. Raises OSError when the address
    cannot be bound at all, BadInput for an origin that is none.
    """
    api = make_api(services, allowed_origins)
    bound = bind(host, port)
    try:
        listening = listening_at(bound, host)
        app = Starlette(
            routes=api.routes(),
            middleware=[
                Middleware(
                    SecurityMiddleware,
                    hosts=HostRule(host, allowed_hosts),
                    policy=nothing_to_load,
                    foreign=api.origins.may_ask,
                )
            ],
        )
        server = Server(uvicorn_config(app, listening), lambda: on_listening(listening), api.close)
        asyncio.run(server.serve(sockets=[bound]))
    finally:
        bound.close()
        services.close()
