"""The routes of the API, and who may ask them: `/v1/…`, `/tokenize`, `/health`.

Every request but the health check needs a key, on this machine too: a web page must not be able to
spend it. What a request means is decided in `asked.py`, what is written in `writing.py`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from twokeys.api import told
from twokeys.api.asked import Asked, asked_chat, asked_response
from twokeys.api.choice import Choice, choose, listed
from twokeys.api.errors import ApiError, api_error
from twokeys.api.keys import ApiKey, ApiKeys
from twokeys.api.wire import ChatRequest, ResponsesRequest, TokenizeRequest, read_request
from twokeys.api.writing import Ended, Piece, Requests, heartbeats, write
from twokeys.errors import TwoKeysError
from twokeys.ids import new_id

if TYPE_CHECKING:
    from twokeys.services import Services

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 << 20
HEARTBEAT_S = 10.0
"""A stream says so often that it is still there."""

LOOK_EVERY_S = 0.2
"""How often it is looked whether the client of a whole answer is still there."""

FIRST_WORD_S = 10.0
"""So long a stream waits for its first text before it answers 200: an error in this time has its status."""

Handler = Callable[[Request, ApiKey], Awaitable[Response]]
Pieces = AsyncGenerator[Piece | Ended | None, None]


class ApiRoutes:
    """The API over one set of services. `requests` is what the settings page lists."""

    def __init__(self, services: "Services", keys: ApiKeys) -> None:
        self._services = services
        self.keys = keys
        self.requests = Requests()

    def routes(self) -> list[BaseRoute]:
        """Return the routes, to stand beside others or alone."""
        return [
            Route("/health", self._health, methods=["GET"]),
            self._route("/v1/models", self._models, "GET"),
            self._route("/v1/models/{name:path}", self._model, "GET"),
            self._route("/v1/chat/completions", self._chat, "POST"),
            self._route("/v1/responses", self._responses, "POST"),
            self._route("/tokenize", self._tokenize, "POST"),
            self._route("/v1/{rest:path}", self._nothing, "GET", "POST", "PUT", "DELETE"),
        ]

    def close(self) -> None:
        """Write down how often the keys were used."""
        self.keys.close()

    def _route(self, path: str, handler: Handler, *methods: str) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                return await handler(request, self._admit(request))
            except ApiError as error:
                return error.response()
            except TwoKeysError as error:
                return api_error(error).response()
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception:
                log.exception("a request to %s failed", path)
                return ApiError(500, "unexpected", "Something unforeseen happened here.").response()

        return Route(path, guarded, methods=list(methods))

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

    # ---- what there is ----------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _nothing(self, request: Request, key: ApiKey) -> Response:
        raise ApiError(404, "not_found", f"There is no {request.method} {request.url.path} here.")

    async def _models(self, request: Request, key: ApiKey) -> Response:
        return JSONResponse({"object": "list", "data": await asyncio.to_thread(self._listed)})

    async def _model(self, request: Request, key: ApiKey) -> Response:
        name = request.path_params["name"]
        for row in await asyncio.to_thread(self._listed):
            if row["id"] == name:
                return JSONResponse(row)
        raise ApiError(404, "model_not_found", f"There is no model {name!r}.", param="model")

    def _listed(self) -> list[dict[str, Any]]:
        return listed(self._services.engines.name, self._installed(), self._services.presets.list())

    def _installed(self) -> list[str]:
        return [entry.name for entry in self._services.models.list() if entry.installed]

    async def _choice(self, name: str) -> Choice:
        def decide() -> Choice:
            services = self._services
            return choose(name, services.engines.name, self._installed(), services.presets.list())

        return await asyncio.to_thread(decide)

    async def _tokenize(self, request: Request, key: ApiKey) -> Response:
        asked: TokenizeRequest = read_request(TokenizeRequest, await _body(request))
        text = asked.content if asked.content is not None else asked.prompt
        if text is None:
            raise ApiError(400, "missing_value", "content (or prompt) is missing.", param="content")

        async def tokenize() -> list[int]:
            engine = await self._services.engines.ready()
            await engine.info()
            return await engine.tokenize(text)

        tokens = await asyncio.wrap_future(self._services.jobs.loop.submit(tokenize()))
        return JSONResponse({"tokens": tokens, "count": len(tokens)})

    # ---- answers ----------------------------------------------------------------------------

    async def _chat(self, request: Request, key: ApiKey) -> Response:
        wanted: ChatRequest = read_request(ChatRequest, await _body(request))
        asked = asked_chat(wanted, await self._choice(wanted.model), strict=_is_strict(request))
        answer_id, created = f"chatcmpl-{new_id()}", int(time.time())
        model = wanted.model or asked.choice.name
        shown = wanted.top_logprobs or 0
        if asked.stream:
            return await self._stream(
                asked, key, lambda pieces: _chat_events(pieces, asked, answer_id, created, model, shown)
            )
        endings = await self._all(request, asked, key)
        facts = [told.facts_of(ended, asked) for ended in endings]
        body = told.completion(
            answer_id,
            created,
            model,
            [told.choice_of(ended, asked, shown) for ended in endings],
            usage=told.usage_of(endings),
            twokeys=facts[0] if len(facts) == 1 else {**facts[0], "choices": facts},
        )
        return JSONResponse(body, headers=told.headers_of(facts[0]))

    async def _responses(self, request: Request, key: ApiKey) -> Response:
        wanted: ResponsesRequest = read_request(ResponsesRequest, await _body(request))
        asked = asked_response(wanted, await self._choice(wanted.model), strict=_is_strict(request))
        answer_id, created = f"resp_{new_id()}", int(time.time())
        model = wanted.model or asked.choice.name
        if asked.stream:
            return await self._stream(
                asked, key, lambda pieces: _response_events(pieces, asked, answer_id, created, model)
            )
        [ended] = await self._all(request, asked, key)
        body = told.response(answer_id, created, model, ended, asked)
        return JSONResponse(body, headers=told.headers_of(body["twokeys"]))

    async def _all(self, request: Request, asked: Asked, key: ApiKey) -> list[Ended]:
        """Return all choices once they are written; gives up when the client goes away."""
        seen = self.requests.begin(key.name, asked.choice.name)
        state = "failed"
        try:
            endings = []
            looked_at = time.monotonic()
            async with aclosing(heartbeats(write(self._services, asked, seen), LOOK_EVERY_S)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Ended):
                        endings.append(piece)
                    elif time.monotonic() - looked_at >= LOOK_EVERY_S:
                        looked_at = time.monotonic()
                        if await request.is_disconnected():
                            state = "left"
                            raise ClientDisconnect
            state = "done"
            return endings
        finally:
            self.requests.end(seen, state)

    async def _stream(
        self, asked: Asked, key: ApiKey, events: Callable[[Pieces], AsyncGenerator[bytes, None]]
    ) -> Response:
        """Return a stream of events, once its first text is there or has been waited for long enough."""
        seen = self.requests.begin(key.name, asked.choice.name)
        pieces = heartbeats(write(self._services, asked, seen), HEARTBEAT_S)
        first = asyncio.ensure_future(_first(pieces))
        try:
            done, _ = await asyncio.wait({first}, timeout=FIRST_WORD_S)
            if done:
                first.result()
        except BaseException:
            first.cancel()
            await pieces.aclose()
            self.requests.end(seen, "failed")
            raise

        async def body() -> AsyncGenerator[bytes, None]:
            state = "left"
            try:
                async with aclosing(pieces), aclosing(events(_with_first(first, pieces))) as written:
                    async for line in written:
                        yield line
                state = "done"
            except ApiError as error:
                state = "failed"
                yield told.event(error.body(), "error")
            except TwoKeysError as error:
                state = "failed"
                yield told.event(api_error(error).body(), "error")
            finally:
                self.requests.end(seen, state)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


async def _first(pieces: Pieces) -> Piece | Ended | None:
    async for piece in pieces:
        return piece
    return None


async def _with_first(first: "asyncio.Future[Piece | Ended | None]", pieces: Pieces) -> Pieces:
    while not first.done():
        done, _ = await asyncio.wait({first}, timeout=HEARTBEAT_S)
        if not done:
            yield None
    yield first.result()
    async for piece in pieces:
        yield piece


COMMENT = b": still here\n\n"


async def _chat_events(
    pieces: Pieces, asked: Asked, answer_id: str, created: int, model: str, shown: int
) -> AsyncGenerator[bytes, None]:
    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        probs = more.pop("logprobs", None)
        choice = {"index": index, "delta": delta, "logprobs": probs, "finish_reason": finish}
        return told.event(told.chunk(answer_id, created, model, [choice], **more))

    begun: set[int] = set()
    endings: list[Ended] = []
    async for piece in pieces:
        if piece is None:
            yield COMMENT
            continue
        if piece.index not in begun:
            begun.add(piece.index)
            yield chunk(piece.index, {"role": "assistant", "content": ""})
        if isinstance(piece, Piece):
            probs = told.logprobs_of(piece.probs, shown) if asked.n_probs else None
            yield chunk(piece.index, {"content": piece.text}, logprobs=probs)
        else:
            endings.append(piece)
            facts = told.facts_of(piece, asked)
            yield chunk(piece.index, {}, told.finish_of(piece), twokeys=facts)
    if asked.include_usage:
        yield told.event(told.chunk(answer_id, created, model, [], usage=told.usage_of(endings)))
    yield told.event("[DONE]")


async def _response_events(
    pieces: Pieces, asked: Asked, answer_id: str, created: int, model: str
) -> AsyncGenerator[bytes, None]:
    number = 0

    def line(kind: str, **values: Any) -> bytes:
        nonlocal number
        number += 1
        return told.event({"type": kind, "sequence_number": number - 1, **values}, kind)

    place = {"item_id": f"msg_{answer_id}", "output_index": 0, "content_index": 0}
    yield line("response.created", response=told.response(answer_id, created, model, None, asked))
    text = ""
    async for piece in pieces:
        if piece is None:
            yield COMMENT
        elif isinstance(piece, Piece):
            text += piece.text
            yield line("response.output_text.delta", delta=piece.text, logprobs=[], **place)
        else:
            yield line("response.output_text.done", text=text, logprobs=[], **place)
            whole = told.response(answer_id, created, model, piece, asked)
            yield line(f"response.{whole['status']}", response=whole)


def _is_strict(request: Request) -> bool:
    return request.headers.get("x-twokeys-strict", "").lower() in ("1", "true", "yes")


async def _body(request: Request) -> bytes:
    """Return the body. Raises ApiError 413 when it is too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, "body_too_large", f"The body has more than {MAX_BODY_BYTES >> 20} MiB.")
    return bytes(body)
