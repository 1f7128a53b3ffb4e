"""The download cards: what is recommended here, one card for one file, starting again, quantisations."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ui.conftest import Browser

from twokeys.config import load_config
from twokeys.core.memory.available import Available
from twokeys.i18n import translate
from twokeys.models.downloads import DownloadView
from twokeys.planner import MemoryPlanner
from twokeys.services import Services, build_services
from twokeys.web.runtime import set_services

Make = Callable[..., Services]
GIB = 1 << 30
SMALL, SEVEN = "qwen2.5-0.5b", "qwen2.5-7b"


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let this machine have so many GiB free, of 64."""

    def set_free(gib: float) -> None:
        available = Available(total_bytes=64 * GIB, free_bytes=int(gib * GIB))
        monkeypatch.setattr(MemoryPlanner, "available", lambda self: available)

    return set_free


@pytest.fixture
def on_the_way(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these downloads be under way; nothing is fetched."""

    def set_views(services: Services, *views: DownloadView) -> None:
        monkeypatch.setattr(services.models.downloads, "views", lambda: list(views))
        monkeypatch.setattr(services.models, "smallest_reachable", lambda: None)

    return set_views


@pytest.fixture
def one_model(home: Path, smollm2: Path) -> Iterator[Services]:
    """Services over a models folder that holds the smallest model only; it is never started."""
    services = build_services(load_config())
    services.models.shelf.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(smollm2, services.models.shelf.folder / "smollm2-135m.gguf")
    set_services(services)
    yield services
    set_services(None)
    services.close()


def moving(name: str, state: str = "downloading") -> DownloadView:
    return DownloadView(name, state, 1 << 20, 400 << 20)  # type: ignore[arg-type]


def test_the_recommendation_counts_what_is_free_and_not_what_is_built_in(
    make_services: Make, free: Callable[[float], None], on_the_way: Callable[..., None]
) -> None:
    services = make_services(model=False)
    on_the_way(services)
    free(4)
    tab = Browser(services, plain="1").run()
    assert "Qwen2.5-3B-Instruct" in tab.text() and "4.00 GiB" in tab.text()
    free(32)
    assert "Qwen2.5-7B-Instruct" in Browser(services, plain="1").run().text()


def test_on_the_smallest_machine_one_card_shows_the_one_download(
    make_services: Make, free: Callable[[float], None], on_the_way: Callable[..., None]
) -> None:
    services = make_services(model=False)
    free(1)
    on_the_way(services, moving(SMALL))
    tab = Browser(services, plain="1").run()
    assert translate("modelpage.first.looking", "en") not in tab.text()
    assert [button.key for button in tab.at.button].count(f"pause_{SMALL}") == 1
    recommended = translate("modelpage.recommended.title", "en", name="")
    assert recommended not in tab.text(), "the one on its way is the one recommended"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_with_nothing_reachable_the_card_does_not_say_that_a_model_is_coming(
    make_services: Make, free: Callable[[float], None], on_the_way: Callable[..., None], language: str
) -> None:
    services = make_services(model=False)
    free(32)
    on_the_way(services)
    tab = Browser(services, language=language, plain="1").run()
    deadline = time.monotonic() + 20
    while not services.repository.get_setting("ui.first_run_error"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    text = tab.run().text()
    assert translate("modelpage.first.not_begun", language) in text
    assert translate("modelpage.first.meanwhile", language) not in text
    assert (
        translate("errors.nothing_reachable.text", language, sources="Hugging Face, ModelScope, PyPI") in text
    )
    assert tab.at.button(key="first_run_retry").label == translate("modelpage.retry", language)


def test_a_cancelled_first_download_can_be_started_again(
    make_services: Make,
    free: Callable[[float], None],
    on_the_way: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = make_services(model=False)
    free(32)
    on_the_way(services, moving(SMALL, "cancelled"))
    asked: list[str] = []
    monkeypatch.setattr(services.models.downloads, "resume", asked.append)
    Browser(services, plain="1").run().click(f"resume_{SMALL}")
    assert asked == [SMALL]


@pytest.mark.parametrize("page", ["", "models"])
def test_while_a_smaller_model_answers_the_best_one_stays_recommended(
    one_model: Services, page: str, free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(32)
    asked: list[str] = []
    monkeypatch.setattr(one_model.models.downloads, "start", asked.append)
    tab = Browser(one_model, page, plain="1").run()
    assert translate("modelpage.recommended.title", "en", name="Qwen2.5-7B-Instruct") in tab.text()
    tab.click("recommended_fetch")
    assert asked == [SEVEN]


def test_a_declined_recommendation_stays_away_from_the_chat_only(
    one_model: Services, free: Callable[[float], None]
) -> None:
    free(32)
    tab = Browser(one_model, plain="1").run()
    tab.click("recommended_decline")
    keys = {button.key for button in Browser(one_model, plain="1").run().at.button}
    assert "recommended_fetch" not in keys
    keys = {button.key for button in Browser(one_model, "models", plain="1").run().at.button}
    assert "recommended_fetch" in keys


def test_a_model_that_is_here_still_offers_its_other_quantisations(
    one_model: Services, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = one_model
    shutil.copyfile(smollm2, services.models.shelf.folder / "qwen2.5-0.5b-instruct-q4_k_m.gguf")
    tab = Browser(services, "models", plain="1").run()
    box = tab.at.selectbox(key=f"quantisation_{SMALL}")
    assert not any(option.startswith("Q4_K_M") for option in box.options)
    assert any(option.startswith("Q5_0") for option in box.options)
    asked: list[str] = []
    monkeypatch.setattr(services.models.downloads, "start", asked.append)
    box.set_value(f"{SMALL}:q5_0").run()
    tab.click(f"download_{SMALL}")
    assert asked == [f"{SMALL}:q5_0"]


def test_the_memory_page_plans_with_a_persons_own_limit(one_model: Services) -> None:
    expected = one_model.engines.worker_spec()
    assert expected is not None
    overrides = replace(one_model.memory.overrides(expected.model_name), limit_mib=310)
    one_model.memory.keep(expected.model_name, overrides)
    tab = Browser(one_model, "memory", plain="1").run()
    assert "310 MiB" in tab.text()
    assert '<p class="tk-verdict fits">' not in tab.text()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_licence_without_commercial_use_says_so(one_model: Services, language: str) -> None:
    text = Browser(one_model, "models", language, plain="1").run().text()
    assert translate("modelpage.research", language, licence="Qwen-Research") in text
    assert text.count("Qwen-Research") == 1
