"""Which model answers, as far as it is known without starting anything.

Reads the engine host; draws nothing.
"""

from dataclasses import dataclass

from twokeys.services import Services
from twokeys.types import Message


@dataclass(frozen=True, slots=True)
class ModelNow:
    """The model that answers the next message.

    name: as shown. main: it is Qwen2.5-7B-Instruct. running: asking it costs no start.
    remote: it lives on a server. context: tokens of prompt + answer, None when unknown.
    memory_bytes: of the worker process, 0 when it does not run or is remote.
    """

    name: str
    main: bool
    running: bool
    remote: bool
    context: int | None
    memory_bytes: int


def answering(services: Services) -> ModelNow | None:
    """Return what answers the next message, None when there is no model yet."""
    expected = services.engines.expected()
    if expected is None:
        return None
    names = (expected.model, expected.model_path or "")
    return ModelNow(
        name=expected.model,
        main=any(services.models.is_main(name) for name in names),
        running=services.engines.running(),
        remote=not expected.local,
        context=expected.context or None,
        memory_bytes=worker_memory(services),
    )


def stand_in(services: Services, message: Message) -> str:
    """Return the model that wrote an answer when it was another than Qwen2.5-7B-Instruct, else ""."""
    name = message.provenance.model or ""
    return "" if services.models.is_main(name) else name.rsplit("/", 1)[-1]


def worker_memory(services: Services) -> int:
    """Return the memory of the worker process in bytes, 0 when there is none."""
    measure = getattr(services.engines.current(), "memory_bytes", None)
    return int(measure()) if callable(measure) else 0
