"""Fixtures of the command line's tests: one `cli` for each test, on its own home."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import Cli


@pytest.fixture
def cli(home: Path) -> Iterator[Cli]:
    running = Cli(home)
    yield running
    running.close()
