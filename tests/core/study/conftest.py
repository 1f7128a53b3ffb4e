"""What the lab's tests share."""

from collections.abc import Iterator

import pytest

from twokeys.core.study.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """One judge for all tests, with its process."""
    made = Judge()
    yield made
    made.close()
