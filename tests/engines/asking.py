"""Short ways to ask an engine and to gather what it says."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from twokeys.engines.local import LocalEngine
from twokeys.types import (
    ChatMessage,
    Delta,
    EngineEvent,
    Finished,
    GenerationRequest,
    Phase,
    PromptProgress,
    Sampling,
    TokenProb,
)

MakeEngine = Callable[..., LocalEngine]
QUESTION = "Tell me a long story about a lighthouse keeper and the sea."


def ask(text: str = QUESTION, **values: Any) -> GenerationRequest:
    """Return a request; names of Sampling go there, the rest to GenerationRequest."""
    own = {name: values.pop(name) for name in list(values) if name in GenerationRequest.__dataclass_fields__}
    sampling = Sampling(**({"max_new_tokens": 16, "seed": 7} | values))
    return GenerationRequest(**({"messages": (ChatMessage("user", text),), "sampling": sampling} | own))


@dataclass
class Heard:
    """Everything one stream said."""

    events: list[EngineEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, Delta))

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(i for e in self.events if isinstance(e, Delta) for i in e.token_ids)

    @property
    def probs(self) -> list[TokenProb]:
        return [p for e in self.events if isinstance(e, Delta) for p in e.probs]

    @property
    def phases(self) -> list[str]:
        names = [e.name for e in self.events if isinstance(e, Phase)]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    @property
    def progress(self) -> list[PromptProgress]:
        return [e for e in self.events if isinstance(e, PromptProgress)]

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last


async def hear(engine: Any, request: GenerationRequest, into: Heard | None = None) -> Heard:
    """Follow one answer to its end."""
    heard = Heard() if into is None else into
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            heard.events.append(event)
    return heard
