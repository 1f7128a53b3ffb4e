"""What the routes of the API do: read the request, have it written, reply. Loaded at the first request.

Who may ask is decided in `routes.py`, what a request means in `asked.py`, what is written in `writing.py`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from twokeys.api import replies
from twokeys.api.asked import AnswerRequest, TextPrompt, asked_chat, asked_completion, asked_response
from twokeys.api.choice import ModelChoice, choose, listed
from twokeys.api.errors import ApiError, api_error
from twokeys.api.keys import ApiKey
from twokeys.api.patience import Patience
from twokeys.api.replies import Heading
from twokeys.api.streams import Pieces, chat_events, response_events, text_events
from twokeys.api.wire import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    ResponsesRequest,
    TokenizeRequest,
    read_request,
)
from twokeys.api.writing import ChoiceDelta, Ended, Requests, check_ids, heartbeats, write
from twokeys.engine import Engine, PromptEngine
from twokeys.errors import NotSupported, Reason, TwoKeysError
from twokeys.ids import new_id
from twokeys.types import EngineInfo

if TYPE_CHECKING:
    from twokeys.services import Services

T = TypeVar("T")

MAX_BODY_BYTES = 16 << 20
LOOK_EVERY_S = 0.2
"""How often it is looked whether the client of a whole answer is still there."""

Writer = Callable[[Pieces, AnswerRequest, Heading], AsyncGenerator[bytes, None]]


class Handlers:
    """Answers to requests that were let in, over one set of services. `requests` is what the page lists."""

    def __init__(self, services: "Services", patience: Patience) -> None:
        self._services = services
        self._patience = patience
        self.requests = Requests()

    async def models(self, request: Request, key: ApiKey) -> Response:
        await self._meet_server()
        return JSONResponse({"object": "list", "data": await asyncio.to_thread(self._listed)})

    async def model(self, request: Request, key: ApiKey) -> Response:
        await self._meet_server()
        name = request.path_params["name"]
        for row in await asyncio.to_thread(self._listed):
            if row["id"] == name:
                return JSONResponse(row)
        raise ApiError(404, "model_not_found", f"There is no model {name!r}.", param="model")

    def _listed(self) -> list[dict[str, Any]]:
        return listed(self._services.engines.name, self._installed(), self._services.presets.list())

    def _installed(self) -> list[str]:
        return [entry.name for entry in self._services.models.list() if entry.installed]

    async def _meet_server(self) -> None:
        """Ask a server what it is, unless that is known: before, its model has no name."""
        services = self._services
        if await asyncio.to_thread(lambda: not services.engines.name and bool(services.servers())):
            with contextlib.suppress(TwoKeysError):
                await self._ask_engine(_seen)

    async def _choice(self, name: str) -> ModelChoice:
        await self._meet_server()

        def decide() -> ModelChoice:
            services = self._services
            return choose(name, services.engines.name, self._installed, services.presets.list())

        return await asyncio.to_thread(decide)

    async def tokenize(self, request: Request, key: ApiKey) -> Response:
        asked: TokenizeRequest = read_request(TokenizeRequest, await _body(request))
        text = asked.content if asked.content is not None else asked.prompt
        if text is None:
            raise ApiError(400, "missing_value", "content (or prompt) is missing.", param="content")

        tokens = await self._ask_engine(lambda engine, info: engine.tokenize(text))
        return JSONResponse({"tokens": tokens, "count": len(tokens)})

    async def detokenize(self, request: Request, key: ApiKey) -> Response:
        asked: DetokenizeRequest = read_request(DetokenizeRequest, await _body(request))

        async def spell(engine: Engine, info: EngineInfo) -> str:
            if not isinstance(engine, PromptEngine):
                reason = Reason("errors.reason.no_prompt_ids", kind=info.kind)
                raise NotSupported(field="tokens", reason=reason)
            check_ids(asked.tokens, info, "tokens")
            return await engine.detokenize(asked.tokens) if asked.tokens else ""

        text = await self._ask_engine(spell)
        return JSONResponse({"content": text, "prompt": text})

    async def _ask_engine(self, ask: Callable[[Engine, EngineInfo], Awaitable[T]]) -> T:
        """Ask the engine that answers, on the loop where engines are awaited."""

        async def asking() -> T:
            engine = await self._services.engines.ready()
            return await ask(engine, await engine.info())

        return await asyncio.wrap_future(self._services.jobs.loop.submit(asking()))

    async def nothing(self, request: Request, key: ApiKey) -> Response:
        raise ApiError(404, "not_found", f"There is no {request.method} {request.url.path} here.")

    # ---- answers ----------------------------------------------------------------------------

    async def chat(self, request: Request, key: ApiKey) -> Response:
        wanted: ChatRequest = read_request(ChatRequest, await _body(request))
        asked = asked_chat(wanted, await self._choice(wanted.model), strict=_is_strict(request))
        heading = _heading("chatcmpl-", wanted.model, asked, wanted.top_logprobs or 0)
        if asked.stream:
            return await self._stream(asked, key, chat_events, heading)
        endings = await self._all(request, asked, key)
        choices = [replies.choice_of(ended, asked, heading.shown) for ended in endings]
        return _whole(replies.completion(heading, choices), endings, asked)

    async def completions(self, request: Request, key: ApiKey) -> Response:
        wanted: CompletionRequest = read_request(CompletionRequest, await _body(request))
        asked = asked_completion(wanted, await self._choice(wanted.model), strict=_is_strict(request))
        if asked.echo:
            asked = await self._spelled(asked)
        heading = _heading("cmpl-", wanted.model, asked, wanted.logprobs or 0)
        if asked.stream:
            return await self._stream(asked, key, text_events, heading)
        endings = await self._all(request, asked, key)
        choices = [
            replies.text_choice(
                ended.index,
                replies.echo_of(asked, ended.index) + ended.outcome.text,
                ended.outcome.probs,
                asked,
                heading.shown,
                replies.finish_of(ended, asked),
            )
            for ended in endings
        ]
        return _whole(replies.text_completion(heading, choices), endings, asked)

    async def _spelled(self, asked: AnswerRequest) -> AnswerRequest:
        """Return the request with the text of prompts that came as token ids, to be said again."""

        async def spell(engine: Engine, info: EngineInfo) -> tuple[TextPrompt, ...]:
            texts = []
            for prompt in asked.texts:
                check_ids(prompt.ids, info, "prompt")
                if prompt.ids and isinstance(engine, PromptEngine):
                    texts.append(replace(prompt, text=await engine.detokenize(prompt.ids)))
                else:
                    texts.append(prompt)
            return tuple(texts)

        return replace(asked, texts=await self._ask_engine(spell))

    async def responses(self, request: Request, key: ApiKey) -> Response:
        wanted: ResponsesRequest = read_request(ResponsesRequest, await _body(request))
        asked = asked_response(wanted, await self._choice(wanted.model), strict=_is_strict(request))
        heading = _heading("resp_", wanted.model, asked)
        if asked.stream:
            return await self._stream(asked, key, response_events, heading)
        [ended] = await self._all(request, asked, key)
        body = replies.response(heading, ended, asked)
        return JSONResponse(body, headers=replies.headers_of(body["twokeys"]))

    async def _all(self, request: Request, asked: AnswerRequest, key: ApiKey) -> list[Ended]:
        """Return all choices once they are written; gives up when the client goes away."""
        seen = self.requests.begin(_who(key, asked), asked.choice.label)
        state = "failed"
        try:
            endings = []
            looked_at = time.monotonic()
            written = write(self._services, asked, seen, self._patience.loading_s)
            async with aclosing(heartbeats(written, LOOK_EVERY_S)) as pieces:
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

    async def _stream(self, asked: AnswerRequest, key: ApiKey, writer: Writer, heading: Heading) -> Response:
        """Return a stream of events, once its first text is there or has been waited for long enough."""
        seen = self.requests.begin(_who(key, asked), asked.choice.label)
        written = write(self._services, asked, seen, self._patience.loading_s)
        pieces = heartbeats(written, self._patience.heartbeat_s)
        first = asyncio.ensure_future(_first(pieces))
        try:
            done, _ = await asyncio.wait({first}, timeout=self._patience.first_word_s)
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
                whole = _with_first(first, pieces)
                async with aclosing(pieces), aclosing(writer(whole, asked, heading)) as lines:
                    async for line in lines:
                        yield line
                state = "done"
            except ApiError as error:
                state = "failed"
                yield replies.event(error.body(), "error")
            except TwoKeysError as error:
                state = "failed"
                yield replies.event(api_error(error).body(), "error")
            finally:
                self.requests.end(seen, state)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **replies.known_headers(asked)}
        return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


def _who(key: ApiKey, asked: AnswerRequest) -> str:
    """Return the program that asks, and for whom where it says so."""
    return f"{key.name} ({asked.user})" if asked.user else key.name


def _heading(prefix: str, model: str, asked: AnswerRequest, shown: int = 0) -> Heading:
    return Heading(f"{prefix}{new_id()}", int(time.time()), model or asked.choice.name, shown)


def _whole(body: dict[str, Any], endings: list[Ended], asked: AnswerRequest) -> Response:
    """Return an answer with its usage and with how each choice came about."""
    facts = [replies.facts_of(ended, asked) for ended in endings]
    body["usage"] = replies.usage_of(endings, asked)
    body["twokeys"] = facts[0] if len(facts) == 1 else {**facts[0], "choices": facts}
    return JSONResponse(body, headers=replies.headers_of(facts[0]))


async def _seen(engine: Engine, info: EngineInfo) -> None:
    """Ask nothing: the engine has said what it is."""


async def _first(pieces: Pieces) -> ChoiceDelta | Ended | None:
    async for piece in pieces:
        return piece
    return None


async def _with_first(first: "asyncio.Future[ChoiceDelta | Ended | None]", pieces: Pieces) -> Pieces:
    yield await first
    async for piece in pieces:
        yield piece


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
