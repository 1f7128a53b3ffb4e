"""What may be asked of whatever writes answers: the protocols of an engine, declared once.

An engine is asynchronous and used from one event loop. It knows nothing of conversations, the
store or languages. What it says is in `types`; the engines themselves are in `engines/`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from twokeys.types import (
    ChatMessage,
    EngineEvent,
    EngineInfo,
    GenerationRequest,
    NextTokens,
    Phase,
    ReleaseReport,
)


class Engine(Protocol):
    """Writes one answer at a time per slot: all that asking for an answer needs."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream Phase, PromptProgress and Delta events, and one Finished at the end.

        Closing the generator (`aclose`, or cancelling the task) frees the engine's slot at once.
        Raises EngineError subclasses; after an error no Finished comes.
        """
        ...

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        """Return how many tokens the prompt has as the model reads it."""
        ...

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of plain text (control tokens in it are read as text)."""
        ...

    async def info(self) -> EngineInfo:
        """Return what answers; starts a local engine that is not running."""
        ...

    async def healthy(self) -> bool:
        """Return whether the server answers its health check within two seconds."""
        ...


class OwnedEngine(Engine, Protocol):
    """An engine with its end: for whoever started it or chose it."""

    async def release(self) -> ReleaseReport:
        """End the local process and return the memory that came back (zeros for a remote one)."""
        ...

    async def close(self) -> None:
        """End everything this engine owns."""
        ...


@runtime_checkable
class Startable(Protocol):
    """An engine that has to be started and shows how it goes."""

    @property
    def phase(self) -> Phase | None:
        """What the start is doing now; None when no start is under way."""
        ...


@runtime_checkable
class PromptEngine(Engine, Protocol):
    """An engine that tells the very token ids a model reads, for GenerationRequest.prompt_ids.

    Raises NotSupported where the model or the server has no such prompt.
    """

    async def tool_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, object]]
    ) -> list[int]:
        """Return the ids of a conversation in which `tools` (OpenAI's objects) may be called."""
        ...

    async def text_prompt(self, text: str, suffix: str | None = None) -> list[int]:
        """Return the ids of plain text to go on from; with a suffix: of the gap between the two."""
        ...

    async def detokenize(self, ids: Sequence[int]) -> str:
        """Return what token ids spell."""
        ...


@runtime_checkable
class ScoringEngine(Engine, Protocol):
    """An engine that tells the whole distribution of a next token.

    Raises NotSupported where the server has no such thing.
    """

    async def next_tokens(
        self,
        messages: Sequence[ChatMessage],
        prefix: str = "",
        after: Sequence[int] = (),
        slot: int | None = None,
    ) -> NextTokens:
        """Return what may come next in an answer that began with `prefix` and the tokens `after`."""
        ...


@runtime_checkable
class SlotEngine(Engine, Protocol):
    """An engine whose slots' states can be copied. Names are short and of letters and digits."""

    async def save_slot(self, slot: int, name: str) -> int: ...

    async def restore_slot(self, slot: int, name: str) -> int: ...

    def forget_saved(self, name: str) -> None:
        """Delete a saved state: it holds the conversation's text."""
        ...
