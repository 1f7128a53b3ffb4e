"""A repository of its own for each test, and short ways to fill it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twokeys.config import Config, prepare_home
from twokeys.store.repository import Repository

from .making import Maker


@pytest.fixture
def config(home: Path) -> Config:
    made = Config(home=home)
    prepare_home(made)
    return made


@pytest.fixture
def repository(config: Config) -> Iterator[Repository]:
    opened = Repository.open(config)
    yield opened
    opened.close()


@pytest.fixture
def make(repository: Repository) -> Maker:
    return Maker(repository, time.time())
