"""Whether a server obeys the parameters it takes: tried once with a few short answers, never assumed.

Many servers accept every field of the OpenAI interface and leave out what they do not implement. The
same question is asked with a parameter at both ends of its range; when the text is the same, the
parameter does nothing. A try that fails says nothing, and the parameter counts as obeyed. Asks only for
parameters that a person really uses.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from twokeys.engines.chat_stream import ChatStream
from twokeys.engines.openai_api import ModelServer
from twokeys.errors import EngineError
from twokeys.types import ChatMessage, Delta, EngineEvent, GenerationRequest, Sampling

log = logging.getLogger(__name__)

TRIAL_TIMEOUT_S = 30.0
QUESTION = (ChatMessage("user", "Write down thirty words that come to your mind, whatever they are."),)
PLAIN = Sampling(temperature=0.0, max_new_tokens=32, top_p=1.0, top_k=0, repetition_penalty=1.0, seed=1)
LIVELY = PLAIN.with_(temperature=1.5)

Pair = tuple[Sampling, Sampling]
PAIRS: Mapping[str, Pair] = {
    "temperature": (LIVELY, LIVELY.with_(seed=2)),
    "top_p": (LIVELY.with_(top_p=0.05), LIVELY),
    "top_k": (LIVELY.with_(top_k=1), LIVELY),
    "min_p": (LIVELY.with_(min_p=0.9), LIVELY),
    "typical_p": (LIVELY.with_(typical_p=0.05), LIVELY),
    "repetition_penalty": (PLAIN.with_(repetition_penalty=2.0), PLAIN),
    "presence_penalty": (PLAIN.with_(presence_penalty=2.0), PLAIN.with_(presence_penalty=-2.0)),
    "frequency_penalty": (PLAIN.with_(frequency_penalty=2.0), PLAIN.with_(frequency_penalty=-2.0)),
}
"""Two samplings for each parameter that give different texts where it is obeyed."""


class TriedDialect(Protocol):
    """The part of a dialect that a trial needs."""

    @property
    def server(self) -> ModelServer: ...

    @property
    def path(self) -> str: ...

    def body(self, request: GenerationRequest, seed: int) -> dict[str, Any]: ...

    def read(self, event: Mapping[str, object], stream: ChatStream) -> list[EngineEvent]: ...


class Capabilities:
    """What was found out about one model on one server."""

    def __init__(self) -> None:
        self._obeyed: dict[str, bool] = {}
        self._lock = asyncio.Lock()

    async def dropped(self, dialect: TriedDialect, names: Sequence[str]) -> list[str]:
        """Return those of the parameters that do nothing; each is tried at its first use only."""
        async with self._lock:
            for name in names:
                if name not in self._obeyed and (name in PAIRS or name == "seed"):
                    self._obeyed[name] = await self._try(dialect, name)
        return [name for name in names if not self._obeyed.get(name, True)]

    async def _try(self, dialect: TriedDialect, name: str) -> bool:
        first, other = PAIRS.get(name, (LIVELY, LIVELY))
        try:
            async with asyncio.timeout(TRIAL_TIMEOUT_S):
                texts = await _answer(dialect, first), await _answer(dialect, other)
        except (EngineError, TimeoutError) as error:
            log.info("whether the server obeys %s is not known: %s", name, error)
            return True
        same = texts[0] == texts[1]
        return same if name == "seed" else not same


async def _answer(dialect: TriedDialect, sampling: Sampling) -> str:
    stream, text = ChatStream(), ""
    body = dialect.body(GenerationRequest(QUESTION, sampling), sampling.seed or 0)
    async with aclosing(dialect.server.stream(dialect.path, body)) as events:
        async for event in events:
            text += "".join(out.text for out in dialect.read(event, stream) if isinstance(out, Delta))
    return text
