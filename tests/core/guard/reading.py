"""Helpers: stream a text through a guard and collect what it says."""

import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from twokeys.core.guard import Guard
from twokeys.types import GuardEvent


def watch(text: str, question: str = "", *, step: int = 3, guard: Guard | None = None) -> list[GuardEvent]:
    """Stream `text` in pieces of `step` characters and return every event."""
    return watch_pieces((text[at : at + step] for at in range(0, len(text), step)), question, guard)


def watch_pieces(pieces: Iterable[str], question: str = "", guard: Guard | None = None) -> list[GuardEvent]:
    guard = guard or Guard({}, question)
    events: list[GuardEvent] = []
    chars = 0
    for number, piece in enumerate(pieces, start=1):
        chars += len(piece)
        events += guard.on_token(piece, number, chars, (), number * 0.01)
    return events + guard.finish()


def of_kind(events: Iterable[GuardEvent], kind: str, *levels: str) -> list[GuardEvent]:
    return [event for event in events if event.kind == kind and (not levels or event.level in levels)]


def benchmark(name: str) -> ModuleType:
    """Load a script of benchmarks/, so that tests and published figures measure alike."""
    path = Path(__file__).parents[3] / "benchmarks" / f"{name}.py"
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
