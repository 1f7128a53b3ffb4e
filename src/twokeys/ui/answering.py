"""Which model answers, as far as it is known without starting anything.

Reads the engine host; draws nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from twokeys.services import Services
from twokeys.types import Message, WorkerSpec

MAIN_MODEL = "qwen2.5-7b"


@dataclass(frozen=True, slots=True)
class Answering:
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


def answering(services: Services) -> Answering | None:
    """Return what answers the next message, None when there is no model yet."""
    expected = services.engines.expected()
    if expected is None:
        return None
    running = services.engines.running()
    if isinstance(expected, WorkerSpec):
        name, context, remote = expected.model_name, expected.context, False
        path = expected.model_path
    else:
        name, context, remote = expected.model, expected.context, not expected.local
        path = expected.model_path or ""
    return Answering(
        name=name,
        main=is_main_model(name) or is_main_model(Path(path).name),
        running=running,
        remote=remote,
        context=context or None,
        memory_bytes=worker_memory(services),
    )


def is_main_model(name: str) -> bool:
    """Return whether a model's name says Qwen2.5-7B-Instruct (any quantisation, not Coder or Math)."""
    plain = name.lower().replace("_", "-").replace(" ", "-").rsplit("/", 1)[-1]
    return plain.startswith(MAIN_MODEL) and "base" not in plain


def stand_in(message: Message) -> str:
    """Return the model that wrote an answer when it was another than Qwen2.5-7B-Instruct, else ""."""
    name = str(message.provenance.get("model") or "")
    return "" if is_main_model(name) else name.rsplit("/", 1)[-1]


def worker_memory(services: Services) -> int:
    """Return the memory of the worker process in bytes, 0 when there is none."""
    measure = getattr(services.engines.current(), "memory_bytes", None)
    return int(measure()) if callable(measure) else 0
