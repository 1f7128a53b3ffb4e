"""An engine that runs elsewhere: any llama.cpp, vLLM, SGLang, Ollama, LM Studio or plain server by URL.

It starts, stops and releases nothing: the server belongs to somebody else, who may start it anew with
another model or context. So it is asked again what it is, from time to time and after each error.
"""

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from twokeys.engines.capabilities import Capabilities
from twokeys.engines.dialects import Dialect, detect
from twokeys.engines.llamacpp import LlamaCppDialect
from twokeys.engines.messages import clean_messages, clean_request, clean_text
from twokeys.engines.openai_api import ModelServer
from twokeys.engines.openai_dialect import OpenAiDialect
from twokeys.engines.server_access import NO_ACCESS, ServerAccess
from twokeys.errors import (
    BadParameter,
    ContextExceeded,
    EngineError,
    EngineRefused,
    NotSupported,
    Reason,
)
from twokeys.http import httpx
from twokeys.types import (
    Answering,
    ChatMessage,
    EngineEvent,
    EngineInfo,
    GenerationRequest,
    NextTokens,
    Phase,
    ReleaseReport,
)

SILENCE_S = 600.0
DESCRIBED_FOR_S = 60.0
"""After so long a server is asked again what it is, before the next answer."""
GONE = 404


class RemoteEngine:
    """A model server reached by URL.

    url: base URL, with or without the trailing /v1; a user name in it is refused, a fragment names
    the model (`http://host:11434#qwen2.5:7b`). access: key and slots; asked for anew at each detection, so
    that a key can be set while the engine is in use. model: None takes the server's first. tries: find out
    with short answers which parameters a server obeys. Raises BadParameter when the URL is not http(s).
    """

    def __init__(
        self,
        url: str,
        access: ServerAccess | Callable[[], ServerAccess] = NO_ACCESS,
        model: str | None = None,
        *,
        tries: bool = False,
        silence_s: float = SILENCE_S,
        described_for_s: float = DESCRIBED_FOR_S,
    ) -> None:
        address = _parse(url)
        self._model = model or address.fragment or None
        self._base = str(address.copy_with(fragment=None, query=None)).rstrip("/").removesuffix("/v1")
        self._access = access if callable(access) else lambda: access
        self._tries = tries
        self._silence_s = silence_s
        self._described_for_s = described_for_s
        self._server = ModelServer(self._base, self._access().key, read_timeout_s=silence_s)
        self._key = self._access().key
        self._dialect: Dialect | None = None
        self._info: EngineInfo | None = None
        self._described_at = -math.inf
        self._capabilities: dict[tuple[str, str, str], Capabilities] = {}

    @property
    def url(self) -> str:
        return self._base

    @property
    def running(self) -> bool:
        """Whether the server has answered before; asking it costs no start of ours."""
        return self._info is not None

    @property
    def counts_exactly(self) -> bool:
        return self._dialect is not None and self._dialect.counts_exactly

    def expected(self) -> Answering | None:
        """Return what the server said of itself, None before it was asked."""
        return None if self._info is None else Answering.by_engine(self._info)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """See Engine.generate. A server that is another than we thought is asked once more."""
        request = clean_request(request)
        known_before = self._dialect
        text_came = False
        try:
            async with aclosing((await self._ready()).generate(request)) as events:
                async for event in events:
                    text_came = text_came or not isinstance(event, Phase)
                    yield event
            return
        except EngineError as error:
            self.forget()
            if text_came or known_before is None or not _may_be_another(error):
                raise
            dialect = await self._ready()
            if dialect is known_before:
                raise
        async with aclosing(dialect.generate(request)) as events:
            async for event in events:
                yield event

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        """See Engine.count_prompt; an estimate where `counts_exactly` is False."""
        return await (await self._ready()).count(clean_messages(messages), clean_text(prefix))

    async def tokenize(self, text: str) -> list[int]:
        """See Engine.tokenize. Raises EngineRefused where the server has no tokenizer to ask."""
        return await (await self._ready()).tokenize(clean_text(text))

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        """See PromptEngine.tool_prompt; a llama.cpp server only."""
        return await (await self._llama_cpp("tools")).tool_prompt(clean_messages(messages), tools)

    async def text_prompt(self, text: str, suffix: str | None = None) -> list[int]:
        """See PromptEngine.text_prompt; a llama.cpp server only."""
        after = None if suffix is None else clean_text(suffix)
        return await (await self._llama_cpp("prompt")).text_prompt(clean_text(text), after)

    async def detokenize(self, ids: Sequence[int]) -> str:
        """See PromptEngine.detokenize; a llama.cpp server only."""
        return await (await self._llama_cpp("tokens")).detokenize(ids)

    async def next_tokens(
        self,
        messages: Sequence[ChatMessage],
        prefix: str = "",
        after: Sequence[int] = (),
        slot: int | None = None,
    ) -> NextTokens:
        """See ScoringEngine.next_tokens; a llama.cpp server only."""
        dialect = await self._llama_cpp("logprobs")
        return await dialect.next_tokens(clean_messages(messages), clean_text(prefix), after, slot)

    async def _llama_cpp(self, field: str) -> LlamaCppDialect:
        dialect = await self._ready()
        if not isinstance(dialect, LlamaCppDialect):
            raise NotSupported(field=field, reason=Reason("errors.reason.no_prompt_ids", kind=dialect.kind))
        return dialect

    async def info(self) -> EngineInfo:
        dialect = await self._ready()
        self._info = replace(await dialect.describe(), local=False)
        return self._info

    async def healthy(self) -> bool:
        for path in ("/health", "/v1/models"):
            if await self._server.alive(path):
                return True
        return False

    def forget(self) -> None:
        """Ask the server again what it is, before the next answer; what it was stays shown until then."""
        self._described_at = -math.inf

    async def release(self) -> ReleaseReport:
        """Nothing of ours holds memory: zeros."""
        return ReleaseReport(0, 0, 0)

    async def close(self) -> None:
        await self._server.close()

    async def _ready(self) -> Dialect:
        aged = time.monotonic() - self._described_at > self._described_for_s
        if self._dialect is None or aged or self._access().key != self._key:
            self._dialect = await self._detect()
            self._described_at = time.monotonic()
        return self._dialect

    async def _detect(self) -> Dialect:
        access = self._access()
        if access.key != self._key:
            await self._server.close()
            self._server = ModelServer(self._base, access.key, read_timeout_s=self._silence_s)
            self._key, self._dialect = access.key, None
        dialect = await detect(self._server, self._model, slots=access.slots)
        info = replace(await dialect.describe(), local=False)
        if self._dialect is not None and info == self._info:
            return self._dialect  # nothing has changed: what it remembers stays
        self._info = info
        if self._tries and isinstance(dialect, OpenAiDialect):
            place = (info.kind, info.model, info.build)
            dialect.try_with(self._capabilities.setdefault(place, Capabilities()))
        return dialect

    async def reachable(self) -> EngineError | None:
        """Return why the server cannot be used, None when it can."""
        try:
            await self.info()
        except EngineError as error:
            return error
        return None


def _may_be_another(error: EngineError) -> bool:
    """Whether the error is one that a server gives which now runs another model or context."""
    if isinstance(error, EngineRefused):
        return bool(error.params["status"] == GONE)
    return isinstance(error, ContextExceeded)


def _parse(url: str) -> "httpx.URL":
    try:
        address = httpx.URL(url.strip())
    except (httpx.InvalidURL, TypeError) as exc:
        raise BadParameter(field="url", value=url, allowed="http://host:port") from exc
    if address.userinfo:  # a key in the address would be shown and logged wherever the address is
        shown = str(address.copy_with(username=None, password=None))
        raise BadParameter(field="url", value=shown, allowed="http://host:port")
    if address.scheme not in ("http", "https") or not address.host:
        raise BadParameter(field="url", value=url, allowed="http://host:port")
    return address
