"""Layers on a card, for real: Vulkan on the software device, a processor that speaks Vulkan.

One start serves all claims about the card, one the claims about zero layers. Speed and the exhaustion of a
card cannot be seen here.
"""

import platform
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from asking import Heard, ask, hear

from twokeys.core.memory.plan import StartChoice, memory_needs
from twokeys.engines.devices import list_devices, read_buffers
from twokeys.engines.local import LocalEngine
from twokeys.engines.preflight import MIB, preflight
from twokeys.model_shape import file_shape
from twokeys.models.gguf import read_model
from twokeys.types import ReleaseReport, WorkerSpec

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64",
        reason="the Vulkan server of the test packages is for Linux x86-64",
    ),
]
LAYERS = 2
BATCH, UBATCH = 48, 16
"""With 32 tokens and more, layers of the processor would send their work to the card as well, here slowly."""
QUESTION = "Count: one, two, three,"


@dataclass(frozen=True)
class Run:
    """One worker's life: what it said, wrote into its log and gave back."""

    heard: Heard
    log: str
    released: ReleaseReport
    log_after: str


def start_of(binary: str, model: Path, layers: int) -> WorkerSpec:
    """Return a small start with so many layers on the card."""
    return WorkerSpec(
        str(model),
        "smollm2-135m",
        context=128,
        batch=BATCH,
        ubatch=UBATCH,
        gpu_layers=layers,
        server_binary=binary,
    )


async def run(binary: str, model: Path, folder: Path, layers: int) -> Run:
    """Write 8 tokens greedily with so many layers on the card, and end the worker."""
    engine = LocalEngine(start_of(binary, model, layers), folder / "run", folder / "logs")
    try:
        heard = await hear(engine, ask(QUESTION, temperature=0.0, repetition_penalty=1.0, max_new_tokens=8))
        log = engine.start_log()
        return Run(heard, log, await engine.release(), engine.log_tail(400))
    finally:
        await engine.close()


@pytest.fixture(scope="module")
async def on_card(
    software_card: None, llama_server: str, smollm2: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Run]:
    yield await run(llama_server, smollm2, tmp_path_factory.mktemp("card"), LAYERS)


@pytest.fixture(scope="module")
async def on_processor(
    software_card: None, llama_server: str, smollm2: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Run]:
    yield await run(llama_server, smollm2, tmp_path_factory.mktemp("processor"), 0)


def test_the_engine_lists_the_card(software_card: None, llama_server: str) -> None:
    [card] = list_devices(llama_server)
    assert card.name == "Vulkan0" and card.backend == "Vulkan"
    assert "llvmpipe" in card.description
    assert 0 < card.free_bytes <= card.total_bytes


async def test_the_figures_before_a_start_name_the_card_s_share(
    on_card: Run, llama_server: str, smollm2: Path
) -> None:
    card, host = preflight(start_of(llama_server, smollm2, LAYERS))
    assert card.place.startswith("Vulkan0") and host.place == "Host"
    assert abs(card.total_bytes - read_buffers(on_card.log)["Vulkan0"]) < 3 * MIB, (
        "each figure is cut to 1 MiB"
    )


async def test_layers_lie_on_the_card_and_the_log_says_how_much(on_card: Run) -> None:
    assert f"offloaded {LAYERS}/31 layers to GPU" in on_card.log
    held = read_buffers(on_card.log)
    assert set(held) == {"Vulkan0"}
    assert 4_000_000 < held["Vulkan0"] < 60_000_000, "two of thirty layers, their KV and the compute buffer"


async def test_batch_and_ubatch_are_set_apart_and_the_ubatch_sizes_the_buffer(
    on_card: Run, smollm2: Path
) -> None:
    sizes = re.findall(r"n_(u?batch)\s*= (\d+)", on_card.log)
    assert {(name, int(size)) for name, size in sizes} == {("batch", BATCH), ("ubatch", UBATCH)}
    shape = file_shape("smollm2-135m", read_model(smollm2))
    planned = memory_needs(shape, StartChoice(128, batch=BATCH, ubatch=UBATCH, gpu_layers=LAYERS)).device
    buffers = planned.weights_bytes + planned.kv_bytes + planned.compute_bytes
    assert abs(read_buffers(on_card.log)["Vulkan0"] - buffers) < 2 * MIB


async def test_with_no_layer_on_it_a_card_is_not_touched(on_processor: Run) -> None:
    assert read_buffers(on_processor.log) == {}
    assert "using device" not in on_processor.log
    assert "offloaded 0/31 layers" in on_processor.log


async def test_card_and_processor_write_the_same_text(on_card: Run, on_processor: Run) -> None:
    assert on_card.heard.finished.usage.completion_tokens == 8
    assert on_card.heard.text == on_processor.heard.text


async def test_a_clearing_ends_the_worker_on_the_card(on_card: Run) -> None:
    assert on_card.released.freed_bytes == on_card.released.before_bytes > 50_000_000
