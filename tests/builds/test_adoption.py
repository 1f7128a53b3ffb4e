"""A build on its way into use: used only when proven and faster, and else why not."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.models.hub_server import Fault, HubServer

from twokeys.builds.adoption import Adoption
from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof
from twokeys.errors import BuildRefused
from twokeys.models.download import Control

from .builds_at_hand import WHEEL
from .conftest import Make

FAST = Proof("m", "Test Card", 31, 31, 64, 64, 90.0, 20.0, 1.0)
SLOW = Proof("m", "Test Card", 31, 31, 64, 64, 9.0, 20.0, 1.0)
WAIT_S = 20.0


class Adopting:
    """An adoption over a manager whose proofs are told what they show; `used` counts."""

    def __init__(self, make_manager: Make) -> None:
        self.proof: Proof | Exception = FAST
        self.model: Callable[[Control], Path | None] = lambda control: Path("m.gguf")
        self.used = 0
        self.manager: BuildManager = make_manager(prove=self._prove)
        self.adoption = Adoption(self.manager, lambda control: self.model(control), self._note_used)

    def _prove(self, *_: object, **more: object) -> Proof:
        if isinstance(self.proof, Exception):
            raise self.proof
        return self.proof

    def _note_used(self) -> None:
        self.used += 1

    def state(self) -> str:
        """Start, wait for the end and return how it ended."""
        self.adoption.start("vulkan")
        return self.end()

    def end(self) -> str:
        self.adoption.wait(WAIT_S)
        view = self.adoption.view
        assert view is not None and not view.active
        return view.state


@pytest.fixture
def adopting(make_manager: Make) -> Iterator[Adopting]:
    made = Adopting(make_manager)
    yield made
    made.adoption.close()
    made.adoption.wait(WAIT_S)


def test_a_build_that_is_proven_and_faster_is_used(adopting: Adopting) -> None:
    assert adopting.state() == "used"
    active = adopting.manager.active()
    assert active is not None and active.name == "vulkan" and adopting.used == 1
    view = adopting.adoption.view
    assert view is not None and view.proof == FAST


def test_a_build_that_is_no_faster_is_here_and_not_used(adopting: Adopting) -> None:
    adopting.proof = SLOW
    assert adopting.state() == "slower"
    assert adopting.manager.active() is None and adopting.used == 0
    assert adopting.manager.folder.get("vulkan") is not None


def test_a_build_that_proves_nothing_fails_with_the_reason(adopting: Adopting) -> None:
    adopting.proof = BuildRefused(name="vulkan", reason="it talks nonsense")
    assert adopting.state() == "failed"
    view = adopting.adoption.view
    assert view is not None and view.error is adopting.proof and adopting.manager.active() is None


def test_a_mistake_of_ours_fails_too_and_does_not_hang(
    adopting: Adopting, caplog: pytest.LogCaptureFixture
) -> None:
    adopting.proof = ZeroDivisionError("oops")
    assert adopting.state() == "failed"
    view = adopting.adoption.view
    assert view is not None and "ZeroDivisionError" in str(view.error)


def test_without_a_model_to_prove_with_it_is_given_up_with_what_was_fetched(adopting: Adopting) -> None:
    adopting.model = lambda control: None
    assert adopting.state() == "cancelled"
    assert adopting.manager.folder.get("vulkan") is not None and adopting.used == 0


def test_a_failed_download_can_be_tried_again(adopting: Adopting, hub: HubServer) -> None:
    hub.fault(WHEEL, Fault(corrupt=True))
    assert adopting.state() == "failed"
    adopting.adoption.resume()
    assert adopting.end() == "used"


def test_asking_twice_starts_once_and_what_is_under_way_can_be_ended(adopting: Adopting) -> None:
    waiting, asked = threading.Event(), []

    def model(control: Control) -> Path | None:
        asked.append(control)
        waiting.set()
        control.sleep(WAIT_S)
        return None

    adopting.model = model
    adopting.adoption.start("vulkan")
    assert waiting.wait(WAIT_S)
    adopting.adoption.start("vulkan")
    view = adopting.adoption.view
    assert view is not None and view.state == "proving" and view.active
    adopting.adoption.cancel()
    assert adopting.end() == "cancelled" and len(asked) == 1
