"""Counting what is asked of the real store: in one thread while a block runs, or by all from the start."""

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from twokeys.config import Config
from twokeys.services import Services
from twokeys.store.repository import Repository


@contextmanager
def counted_calls(services: Services) -> Iterator[list[str]]:
    """Yield a list that grows by the name of each public method of the repository that is called.

    Only this thread's calls count, and only those from outside the store: a method that another one of
    the store calls is part of that call.
    """
    calls: list[str] = []
    thread = threading.get_ident()
    depth = 0

    def counting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **values: Any) -> Any:
            nonlocal depth
            if threading.get_ident() != thread:
                return method(*args, **values)
            if not depth:
                calls.append(name)
            depth += 1
            try:
                return method(*args, **values)
            finally:
                depth -= 1

        return call

    repository = services.repository
    wrapped: list[tuple[Any, str]] = []
    for owner, prefix in ((repository, ""), (repository.documents, "documents.")):
        for name in dir(owner):
            if not name.startswith("_") and callable(method := getattr(owner, name)):
                setattr(owner, name, counting(prefix + name, method))
                wrapped.append((owner, name))
    try:
        yield calls
    finally:
        for owner, name in wrapped:
            delattr(owner, name)


class CountingRepository:
    """Passes every call on to the repository and counts it by its name."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._repository, name)
        return self._counted(name, attribute) if callable(attribute) else attribute

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
