"""What the tests of this folder share."""

import time
from collections.abc import Callable
from typing import Any

from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import Services
from twokeys.types import Conversation, Sampling, Settings

MakeServices = Callable[[ScriptedEngine], Services]


def conversation(services: Services, **sampling: Any) -> Conversation:
    """A new conversation whose answers may have 400 tokens unless told otherwise."""
    values = {"max_new_tokens": 400, **sampling}
    return services.conversations.new(Settings(sampling=Sampling(**values)))


def until(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until something is true; fail when it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout_s} s")
        time.sleep(0.01)
