"""Services on an engine with a slot for each of three columns."""

import pytest

from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import Services

from ..making import MakeServices
from .making import by_temperature


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(by_temperature, slots=3)


@pytest.fixture
def services(make_services: MakeServices, engine: ScriptedEngine) -> Services:
    return make_services(engine)
