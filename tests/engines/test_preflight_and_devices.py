"""What llama.cpp prints about memory and cards is read as it was recorded; what is not there is nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from twokeys.engines.devices import EngineDevice, list_devices, parse_device_list, read_buffers, used_devices
from twokeys.engines.preflight import preflight, read_breakdown
from twokeys.errors import EngineStartFailed
from twokeys.types import WorkerSpec

MIB = 1 << 20
LOG = """0.00.030.304 I common_params_fit_impl: getting device memory data for initial parameters:
0.00.857.005 I common_memory_breakdown_print: | memory breakdown [MiB] | total   free    self   model   context   compute    unaccounted |
0.00.857.010 I common_memory_breakdown_print: |   - CUDA0 (RTX 4090)   | 24217 = 23700 + (4836 =  4200 +     448 +     188) +        -4319 |
0.00.865.014 I common_memory_breakdown_print: |   - Host               |                  141 =    92 +      45 +       4                |
0.00.977.364 I common_params_fit_impl: projected to use 141 MiB of host memory vs. 24105 MiB of total host memory
"""  # noqa: E501
DEVICES = """Available devices:
  CUDA0: NVIDIA GeForce RTX 4090 (24217 MiB, 23700 MiB free)
  Vulkan0: AMD Radeon RX 7600 (RADV NAVI33) (8192 MiB, 8000 MiB free)
"""


def test_the_breakdown_is_read_for_every_place() -> None:
    card, host = read_breakdown(LOG.splitlines())
    assert (host.place, host.model_bytes, host.kv_bytes, host.compute_bytes) == (
        "Host",
        92 * MIB,
        45 * MIB,
        4 * MIB,
    )
    assert card.place == "CUDA0 (RTX 4090)" and card.total_bytes == 4836 * MIB


def test_a_log_without_a_table_has_no_breakdown() -> None:
    assert read_breakdown(["loading model", "error"]) == ()


def test_a_file_that_llama_cpp_cannot_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(EngineStartFailed):
        preflight(WorkerSpec(str(path), "broken", context=512, threads=1))


def test_the_cards_of_a_llama_server_are_read() -> None:
    first, second = parse_device_list(DEVICES)
    assert (first.name, first.total_bytes, first.free_bytes) == ("CUDA0", 24217 * MIB, 23700 * MIB)
    assert second.description == "AMD Radeon RX 7600 (RADV NAVI33)"


CARD = EngineDevice("CUDA0", "NVIDIA GeForce RTX 4090", 24217 * MIB, 23700 * MIB, card_id="0000:01:00.0")
TWIN = EngineDevice("Vulkan0", "NVIDIA GeForce RTX 4090", 24564 * MIB, 23900 * MIB)
OWN = EngineDevice("Vulkan1", "Intel(R) UHD Graphics 770", 12000 * MIB, 9000 * MIB, integrated=True)


def test_a_card_counts_once_and_the_processor_s_own_graphics_only_without_another() -> None:
    assert used_devices([CARD, TWIN, OWN]) == (CARD,)
    assert used_devices([OWN]) == (OWN,)
    same_id = replace(TWIN, description="Another Name", total_bytes=1, card_id=CARD.card_id)
    assert used_devices([CARD, same_id]) == (CARD,)
    second = replace(CARD, name="CUDA1", card_id="0000:02:00.0")
    assert used_devices([CARD, second, TWIN]) == (CARD, second), "two cards of one kind are two"


@pytest.mark.parametrize(
    ("name", "integrated"),
    [
        ("Intel(R) UHD Graphics 770 (ADL-S GT1)", True),
        ("Intel(R) Iris(R) Xe Graphics", True),
        ("AMD Radeon Graphics (RADV RENOIR)", True),
        ("AMD Radeon 780M (RADV PHOENIX)", True),
        ("AMD Radeon RX 7600 (RADV NAVI33)", False),
        ("Intel(R) Arc(TM) A770 Graphics (DG2)", False),
        ("NVIDIA GeForce RTX 4090", False),
    ],
)
def test_a_processor_s_own_graphics_is_known_by_its_name(name: str, integrated: bool) -> None:
    [card] = parse_device_list(f"Available devices:\n  Vulkan0: {name} (8192 MiB, 8000 MiB free)\n")
    assert (card.description, card.integrated) == (name, integrated)


def test_what_a_worker_holds_on_a_card_is_read_from_its_log() -> None:
    log = """
0.00.200.000 I load_tensors:   CPU_Mapped model buffer size =    28.12 MiB
0.00.200.001 I load_tensors:      Vulkan0 model buffer size =    98.50 MiB
0.00.300.000 I llama_kv_cache:    Vulkan0 KV buffer size =    45.00 MiB
0.00.400.000 I sched_reserve:    Vulkan0 compute buffer size =    12.50 MiB
0.00.400.001 I sched_reserve: Vulkan_Host compute buffer size =     4.02 MiB
"""
    assert read_buffers(log) == {"Vulkan0": 156 * MIB}


def test_an_engine_that_cannot_be_asked_has_no_cards(tmp_path: Path) -> None:
    assert list_devices(str(tmp_path / "no-such-server")) == ()
    assert all(card.name != "CPU" for card in list_devices()), "a processor is no card"
