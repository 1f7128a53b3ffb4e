"""What llama.cpp prints about memory and cards is read as it was recorded; what is not there is nothing."""

from pathlib import Path

import pytest

from twokeys.engines.devices import list_devices, parse_device_list
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
  Vulkan0: AMD Radeon (RADV) 780M (8192 MiB, 8000 MiB free)
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
    assert second.description == "AMD Radeon (RADV) 780M"


def test_an_engine_that_cannot_be_asked_has_no_cards(tmp_path: Path) -> None:
    assert list_devices(str(tmp_path / "no-such-server")) == ()
    assert all(card.name != "CPU" for card in list_devices()), "a processor is no card"
