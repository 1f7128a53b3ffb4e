"""One browser tab in which a test does single things, each in a real run of Streamlit's."""

from collections.abc import Callable
from typing import TypeVar

from streamlit.testing.v1 import AppTest

T = TypeVar("T")

pending: list[Callable[[], object]] = []


def _script() -> None:
    from tests.ui import tab

    tab.pending.pop()()


class Tab:
    """A tab with its session; what is done in it sees the session and the address."""

    def __init__(self, language: str = "en", **query: str) -> None:
        self.at = AppTest.from_function(_script, default_timeout=20)
        self.at.session_state["language"] = language
        for name, value in query.items():
            self.at.query_params[name] = value

    def do(self, act: Callable[[], T]) -> T:
        """Run this in the tab and return what came of it."""
        results: list[T] = []
        pending.append(lambda: results.append(act()))
        self.at.run()
        assert not self.at.exception, self.at.exception[0].stack_trace
        return results[0]
