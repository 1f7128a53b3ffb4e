"""Services on the real small model, and ways to look at and to limit a worker's memory."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from twokeys.engines.local import LocalEngine
from twokeys.services import Services
from twokeys.types import Conversation, Sampling, Settings

STORY = "Tell me a very long story about a lighthouse keeper and the sea."
NEVER_ENDING = {"temperature": 1.0, "repetition_penalty": 1.3, "seed": 5}


@pytest.fixture
def talk(services: Services) -> Callable[..., Conversation]:
    """Open a conversation whose guard never ends an answer, with these sampling parameters."""

    def open_one(**sampling: float) -> Conversation:
        values = {**NEVER_ENDING, **sampling}
        settings = Settings(sampling=Sampling(**values), guard={"enabled": False})  # type: ignore[arg-type]
        return services.conversations.new(settings)

    return open_one


def worker(services: Services) -> LocalEngine:
    engine = services.engines.current()
    assert isinstance(engine, LocalEngine)
    return engine


def peak_bytes(pid: int) -> int:
    """Return the most resident memory a process ever had (VmHWM); elsewhere what it has now."""
    if sys.platform != "linux":
        import psutil

        return int(psutil.Process(pid).memory_info().rss)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def check_the_kernel_holds_it(pid: int, limit_bytes: int | None) -> None:
    """Assert that a process runs under this RLIMIT_DATA and stays below it; a warning where none can tell."""
    if sys.platform != "linux":
        warnings.warn(
            "LINUX ONLY, NOT CHECKED HERE: that the kernel holds a worker to its plan", stacklevel=2
        )
        return
    import resource

    soft, _hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    assert soft == limit_bytes
    [used] = [
        int(line.split()[1]) << 10
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmData:")
    ]
    assert used <= soft
