"""The real repository with a count of what is asked of it."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from twokeys.config import Config
from twokeys.store.repository import Repository


class CountingRepository:
    """Passes every call on to the repository and counts it by its name."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._repository, name)
        return self._counted(name, found) if callable(found) else found

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.calls[name] += 1
            return call(*args, **kwargs)

        return counted


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[CountingRepository]:
    """Let services that are built from now on count their store calls; the counters, oldest first."""
    counters: list[CountingRepository] = []

    class Counted:
        @staticmethod
        def open(config: Config) -> CountingRepository:
            counters.append(CountingRepository(Repository.open(config)))
            return counters[-1]

    monkeypatch.setattr("twokeys.services.Repository", Counted)
    return counters
