"""An engine that runs elsewhere: any llama.cpp, vLLM, SGLang, Ollama, LM Studio or plain server by URL.

It starts, stops and releases nothing: the server belongs to somebody else.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import httpx

from twokeys.engines.dialects import Dialect, detect
from twokeys.engines.messages import clean_messages, clean_request, clean_text
from twokeys.engines.openai_api import ModelServer
from twokeys.errors import BadParameter, EngineError
from twokeys.types import (
    Answering,
    ChatMessage,
    EngineEvent,
    EngineInfo,
    GenerationRequest,
    ReleaseReport,
)

SILENCE_S = 600.0


class RemoteEngine:
    """A model server reached by URL.

    url: base URL, with or without the trailing /v1; a user name in it is refused, a fragment names
    the model (`http://host:11434#qwen2.5:7b`). key: sent as a bearer token. model: None takes the
    server's first. Raises BadParameter when the URL is not http or https.
    """

    def __init__(
        self, url: str, key: str | None = None, model: str | None = None, *, silence_s: float = SILENCE_S
    ) -> None:
        address = _parse(url)
        self._model = model or address.fragment or None
        base = str(address.copy_with(fragment=None, query=None)).rstrip("/").removesuffix("/v1")
        self._server = ModelServer(base, key, read_timeout_s=silence_s)
        self._dialect: Dialect | None = None
        self._info: EngineInfo | None = None

    @property
    def url(self) -> str:
        return self._server.base_url

    @property
    def running(self) -> bool:
        """Whether the server has answered before; asking it costs no start of ours."""
        return self._info is not None

    @property
    def counts_exactly(self) -> bool:
        return self._dialect is not None and self._dialect.counts_exactly

    def expected(self) -> Answering | None:
        """Return what the server said of itself, None before it was asked."""
        return Answering.by_engine(self._info) if self._info is not None else None

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate."""
        request = clean_request(request)
        dialect = await self._ready()
        async with aclosing(dialect.generate(request)) as events:
            async for event in events:
                yield event

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        """See Engine.count_prompt; an estimate where `counts_exactly` is False."""
        return await (await self._ready()).count(clean_messages(messages), clean_text(prefix))

    async def tokenize(self, text: str) -> list[int]:
        """See Engine.tokenize. Raises EngineRefused where the server has no tokenizer to ask."""
        return await (await self._ready()).tokenize(clean_text(text))

    async def info(self) -> EngineInfo:
        dialect = await self._ready()
        if self._info is None:
            self._info = replace(await dialect.describe(), local=False)
        return self._info

    async def healthy(self) -> bool:
        for path in ("/health", "/v1/models"):
            if await self._server.alive(path):
                return True
        return False

    async def release(self) -> ReleaseReport:
        """Nothing of ours holds memory: zeros."""
        return ReleaseReport(0, 0, 0)

    async def close(self) -> None:
        await self._server.close()

    async def _ready(self) -> Dialect:
        if self._dialect is None:
            dialect = await detect(self._server, self._model)
            self._info = replace(await dialect.describe(), local=False)
            self._dialect = dialect
        return self._dialect

    async def reachable(self) -> EngineError | None:
        """Return why the server cannot be used, None when it can."""
        try:
            await self.info()
        except EngineError as error:
            return error
        return None


def _parse(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url.strip())
    except (httpx.InvalidURL, TypeError) as exc:
        raise BadParameter(field="url", value=url, allowed="http://host:port") from exc
    if address.scheme not in ("http", "https") or not address.host or address.userinfo:
        raise BadParameter(field="url", value=url, allowed="http://host:port")
    return address
