"""The routes of the API, and who may ask them: `/v1/…`, `/tokenize`, `/detokenize`, `/health`.

Every request but the health check needs a key, on this machine too: a web page must not be able to
spend it. What is done with a request stands in `handlers.py`, which is loaded at the first one: the app's
page is up sooner without it.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from twokeys.api.errors import ApiError, api_error
from twokeys.api.keys import ApiKey, ApiKeys
from twokeys.api.origins import NamedOrigins
from twokeys.api.patience import PATIENCE, Patience
from twokeys.errors import TwoKeysError

if TYPE_CHECKING:
    from twokeys.api.handlers import Handlers
    from twokeys.api.writing import Requests
    from twokeys.services import Services

log = logging.getLogger(__name__)

Handler = Callable[[Request, ApiKey], Awaitable[Response]]


class ApiRoutes:
    """The API over one set of services."""

    def __init__(
        self,
        services: "Services",
        keys: ApiKeys,
        origins: NamedOrigins,
        patience: Patience = PATIENCE,
    ) -> None:
        self._services = services
        self.keys = keys
        self.origins = origins
        self._patience = patience
        self._loading = threading.Lock()
        self._handlers: Handlers | None = None

    @property
    def requests(self) -> "Requests":
        """What was asked lately, for the page that lists it."""
        return self._load().requests

    def _load(self) -> "Handlers":
        with self._loading:
            if self._handlers is None:
                from twokeys.api.handlers import Handlers

                self._handlers = Handlers(self._services, self._patience)
            return self._handlers

    def routes(self) -> list[BaseRoute]:
        """Return the routes, to stand beside others or alone."""
        return [
            Route("/health", self._health, methods=["GET"]),
            self._route("/v1/models", lambda handlers: handlers.models, "GET"),
            self._route("/v1/models/{name:path}", lambda handlers: handlers.model, "GET"),
            self._route("/v1/chat/completions", lambda handlers: handlers.chat, "POST"),
            self._route("/v1/completions", lambda handlers: handlers.completions, "POST"),
            self._route("/v1/responses", lambda handlers: handlers.responses, "POST"),
            self._route("/tokenize", lambda handlers: handlers.tokenize, "POST"),
            self._route("/detokenize", lambda handlers: handlers.detokenize, "POST"),
            self._route("/v1/{rest:path}", lambda handlers: handlers.nothing, "GET", "POST", "PUT", "DELETE"),
        ]

    def close(self) -> None:
        """Write down how often the keys were used."""
        self.keys.close()

    def _route(self, path: str, choose: Callable[["Handlers"], Handler], *methods: str) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                key = self._admit(request)
                handlers = self._handlers
                if handlers is None:
                    handlers = await asyncio.to_thread(self._load)
                return await choose(handlers)(request, key)
            except ApiError as error:
                return error.response()
            except TwoKeysError as error:
                return api_error(error).response()
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception:
                log.exception("a request to %s failed", path)
                return ApiError(500, TwoKeysError.code, "Something unforeseen happened here.").response()

        return Route(path, guarded, methods=[*methods, "OPTIONS"], middleware=[self.origins.middleware()])

    def _admit(self, request: Request) -> ApiKey:
        """Return the key of a request. Raises ApiError: 401 without a right one, 415 for a form of a page."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        key = self.keys.check(given) if given else None
        if key is None:
            raise ApiError(
                401,
                "invalid_api_key",
                "A key of TwoKeys is needed: make one on the page “API” or with: twokeys keys add NAME",
            )
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and kind != "application/json":
            raise ApiError(415, "unsupported_media_type", "The body must be application/json.")
        return key

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})
