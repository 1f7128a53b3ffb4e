"""Services on the scripted engine with a real store in a temporary home."""

from collections.abc import Iterator

import pytest

from twokeys.config import load_config
from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import Services, build_services

from .making import MakeServices


@pytest.fixture
def make_services() -> Iterator[MakeServices]:
    """Build services around a scripted engine; all are closed at the end."""
    built: list[Services] = []

    def make(engine: ScriptedEngine) -> Services:
        services = build_services(load_config(), engine=engine)
        built.append(services)
        return services

    yield make
    for services in built:
        services.close()
