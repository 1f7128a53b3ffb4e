"""Fixtures of the command line's tests: one `cli` for each test, on its own home, and a local hub."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import Cli
from tests.fork_server import ForkServer

sys.path.append(str(Path(__file__).parent.parent / "models"))

from hub_server import HubServer, running_hub


@pytest.fixture
def cli(home: Path, forks: ForkServer) -> Iterator[Cli]:
    running = Cli(home, forks)
    yield running
    running.close()


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as running:
        yield running


@pytest.fixture
def hub_env(hub: HubServer) -> dict[str, str]:
    """Surroundings in which the local hub is the only place to fetch anything from."""
    return {
        "HF_ENDPOINT": hub.url,
        "MODELSCOPE_ENDPOINT": f"{hub.url}/nowhere",
        "PIP_INDEX_URL": f"{hub.url}/simple",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_EXTRA_INDEX_URL": "",
        "NO_PROXY": "127.0.0.1",
    }
