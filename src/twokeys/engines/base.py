"""The engine protocol: what the rest of the house may ask of whatever writes answers.

An engine is asynchronous and used from one event loop. It knows nothing of conversations, the
store or languages.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from twokeys.types import ChatMessage, EngineEvent, EngineInfo, GenerationRequest, ReleaseReport


class Engine(Protocol):
    """Writes one answer at a time per slot."""

    def generate(self, request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        """Stream Phase, PromptProgress and Delta events, and one Finished at the end.

        Closing the iterator (`aclose`, or cancelling the task) frees the engine's slot at once.
        Raises EngineError subclasses; after an error no Finished comes.
        """
        ...

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        """Return how many tokens the prompt has as the model will read it."""
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

    async def release(self) -> ReleaseReport:
        """End the local process and return the memory that came back (zeros for a remote one)."""
        ...

    async def close(self) -> None:
        """End everything this engine owns."""
        ...
