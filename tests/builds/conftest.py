"""Fixtures: a local package index and release listing, and managers that know only them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.builds.builds_at_hand import WHEEL, packaged, released, wheel
from tests.models.hub_server import QUICK, HubServer, running_hub

from twokeys.builds.catalogue import Build
from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof, prove_build
from twokeys.builds.survey import Card, Survey
from twokeys.config import Config
from twokeys.models.wheels import PipSettings

SURVEY = Survey("linux", "x86_64", (2, 39), cards=(Card("Test Card", "amd", "discrete", vulkan=(1, 3)),))

Make = Callable[..., BuildManager]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A package index that has the test's wheel."""
    with running_hub() as running:
        running.packages["test-server"] = {WHEEL: wheel()}
        yield running


@pytest.fixture
def make_manager(hub: HubServer, home: Path) -> Make:
    """Make managers of one home, as two apps would have them."""

    def make(
        *builds: Build,
        survey: Survey = SURVEY,
        root: Path = home,
        mirror: str = "",
        prove: Callable[..., Proof] = prove_build,
    ) -> BuildManager:
        config = Config(home=root, engine_releases=f"{hub.url}/release", engine_mirror=mirror)
        known = builds or (packaged(hub.packages["test-server"][WHEEL]), released())
        pip = PipSettings((f"{hub.url}/simple",))
        return BuildManager(config, pip=pip, policy=QUICK, builds=known, look=lambda: survey, prove=prove)

    return make
