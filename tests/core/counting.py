"""Counting what is asked of the store: by name, in one thread, while a block runs."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twokeys.services import Services


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
