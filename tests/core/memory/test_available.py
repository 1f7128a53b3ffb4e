"""Free memory is read from recorded files of real machines, containers and cards."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twokeys.core.memory.available import (
    Available,
    Device,
    is_unified,
    parse_group,
    parse_meminfo,
    parse_own_groups,
    read_available,
    read_groups,
    read_nvidia,
)

GIB, MIB = 1 << 30, 1 << 20

MEMINFO = """MemTotal:       24684084 kB
MemFree:        15884684 kB
MemAvailable:   21603240 kB
Buffers:           37616 kB
Cached:          5721856 kB
Shmem:             14340 kB
HugePages_Total:       0
"""
OLD_MEMINFO = "MemTotal: 8000000 kB\nMemFree: 1000000 kB\nCached: 3000000 kB\nShmem: 500000 kB\n"
STAT_V2 = """anon 1073741824
file 524288000
kernel 20971520
slab_reclaimable 8388608
inactive_anon 0
active_file 104857600
inactive_file 314572800
file_dirty 4194304
file_writeback 0
"""
STAT_V1 = """cache 524288000
rss 1073741824
inactive_file 1
active_file 1
total_inactive_file 314572800
total_active_file 104857600
total_dirty 0
total_writeback 0
"""


def test_meminfo_tells_what_is_really_available() -> None:
    meminfo = parse_meminfo(MEMINFO)
    assert meminfo is not None
    assert (meminfo.total_bytes, meminfo.available_bytes) == (24684084 << 10, 21603240 << 10)


def test_an_old_kernels_meminfo_counts_the_cache_without_shared_memory() -> None:
    meminfo = parse_meminfo(OLD_MEMINFO)
    assert meminfo is not None and meminfo.available_bytes == 3_500_000 << 10


def test_a_file_without_the_figures_is_no_meminfo() -> None:
    assert parse_meminfo("nonsense\n") is None


def test_a_group_holds_what_it_cannot_drop() -> None:
    current = 1073741824 + 524288000 + 20971520
    group = parse_group([f"{4 * GIB}\n", "max\n"], str(current), STAT_V2)
    assert group is not None
    assert group.limit_bytes == 4 * GIB
    assert group.held_bytes == current - (314572800 + 104857600 - 4194304) - 8388608
    assert group.room_bytes == group.limit_bytes - group.held_bytes


def test_the_lower_of_max_and_high_counts() -> None:
    group = parse_group([f"{4 * GIB}", f"{2 * GIB}"], "0", "")
    assert group is not None and group.limit_bytes == 2 * GIB


def test_v1_counts_the_children_too() -> None:
    group = parse_group([str(2 * GIB)], str(1500 * MIB), STAT_V1)
    assert group is not None and group.held_bytes == 1500 * MIB - 314572800 - 104857600


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "", "-1"])
def test_a_group_without_a_limit_says_nothing(limit: str) -> None:
    assert parse_group([limit], "123", "") is None


def test_both_hierarchies_are_found_in_the_list_of_groups() -> None:
    assert parse_own_groups("0::/user.slice/app.scope\n") == ("/user.slice/app.scope", None)
    hybrid = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n"
    assert parse_own_groups(hybrid) == ("/", "/docker/abc")
    assert parse_own_groups("") == (None, None)


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Lay out /proc and /sys/fs/cgroup as recorded; `groups` maps a file's path to its text."""

    def lay_out(own: str, groups: dict[str, str]) -> tuple[Path, Path]:
        proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text(MEMINFO)
        (proc / "self" / "cgroup").write_text(own)
        cgroup.mkdir()
        for name, text in groups.items():
            path = cgroup / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return proc, cgroup

    return lay_out


def test_a_service_is_held_by_the_tightest_group_above_it(machine: Any) -> None:
    proc, cgroup = machine(
        "0::/app.slice/twokeys.service\n",
        {
            "app.slice/memory.max": str(6 * GIB),
            "app.slice/memory.high": "max",
            "app.slice/memory.current": str(5 * GIB),
            "app.slice/memory.stat": "",
            "app.slice/twokeys.service/memory.max": str(4 * GIB),
            "app.slice/twokeys.service/memory.high": "max",
            "app.slice/twokeys.service/memory.current": str(1 * GIB),
            "app.slice/twokeys.service/memory.stat": "",
        },
    )
    assert [group.room_bytes for group in read_groups(proc, cgroup)] == [3 * GIB, 1 * GIB]
    available = read_available(proc=proc, cgroup=cgroup, with_devices=False)
    assert (available.total_bytes, available.free_bytes, available.limit_bytes) == (4 * GIB, 1 * GIB, 4 * GIB)


def test_a_container_that_is_told_the_hosts_path_looks_at_its_own_root(machine: Any) -> None:
    proc, cgroup = machine(
        "0::/system.slice/docker-abc.scope\n",
        {"memory.max": str(2 * GIB), "memory.current": str(GIB), "memory.stat": ""},
    )
    available = read_available(proc=proc, cgroup=cgroup, with_devices=False)
    assert (available.limit_bytes, available.free_bytes) == (2 * GIB, 1 * GIB)


def test_a_v1_container_is_read_below_its_memory_folder(machine: Any) -> None:
    proc, cgroup = machine(
        "4:memory:/docker/abc\n",
        {
            "memory/docker/abc/memory.limit_in_bytes": str(3 * GIB),
            "memory/docker/abc/memory.usage_in_bytes": str(1 * GIB),
            "memory/docker/abc/memory.stat": "",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "1",
        },
    )
    assert read_available(proc=proc, cgroup=cgroup, with_devices=False).free_bytes == 2 * GIB


def test_a_machine_without_groups_has_what_the_kernel_says(machine: Any) -> None:
    proc, cgroup = machine("", {})
    available = read_available(own_bytes=GIB, proc=proc, cgroup=cgroup, with_devices=False)
    assert available.limit_bytes is None
    assert available.worker_bytes == (21603240 << 10) + GIB
    assert available.other_bytes == ((24684084 - 21603240) << 10) - GIB


def test_this_machine_can_be_read() -> None:
    available = read_available()
    assert 0 < available.free_bytes <= available.total_bytes
    assert available.worker_bytes > 0


def test_our_own_worker_counts_as_coming_back_and_a_ulimit_holds() -> None:
    available = Available(16 * GIB, 4 * GIB, own_bytes=5 * GIB)
    assert (available.worker_bytes, available.other_bytes) == (9 * GIB, 7 * GIB)
    limited = Available(16 * GIB, 4 * GIB, own_bytes=5 * GIB, process_limit_bytes=2 * GIB)
    assert limited.worker_bytes == 2 * GIB
    assert limited.room(limit_bytes=GIB).host_bytes == GIB


def test_a_mac_shares_its_memory_with_the_gpu() -> None:
    assert is_unified("darwin", "arm64")
    assert not is_unified("darwin", "x86_64") and not is_unified("linux", "arm64")
    room = Available(16 * GIB, 14 * GIB, unified=True).room()
    assert room.unified and room.host_bytes == 14 * GIB and room.device_bytes == 12 * GIB


class Nvml(SimpleNamespace):
    """What nvidia-ml-py answers on a machine with one card, recorded; `broken` raises at that call."""

    broken = ""

    def __getattr__(self, name: str) -> Any:
        def call(*_arguments: Any) -> Any:
            if name == self.broken:
                raise RuntimeError("driver/library version mismatch")
            return {
                "nvmlDeviceGetCount": 1,
                "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * GIB, free=9 * GIB, used=15 * GIB),
                "nvmlDeviceGetName": b"NVIDIA GeForce RTX 4090",
                "nvmlDeviceGetComputeRunningProcesses": [
                    SimpleNamespace(pid=7, usedGpuMemory=5 * GIB),
                    SimpleNamespace(pid=8, usedGpuMemory=None),
                ],
            }.get(name)

        return call


def test_a_card_is_read_and_our_workers_share_of_it_comes_back() -> None:
    [card] = read_nvidia((7,), Nvml())
    assert card == Device("NVIDIA GeForce RTX 4090", 24 * GIB, 9 * GIB, 5 * GIB)
    assert Available(8 * GIB, 8 * GIB, devices=(card,)).room().device_bytes == 14 * GIB


@pytest.mark.parametrize(
    "call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetName"]
)
def test_a_driver_in_trouble_means_no_card_and_no_crash(call: str) -> None:
    nvml = Nvml()
    nvml.broken = call
    assert read_nvidia((7,), nvml) == ()


def test_a_card_whose_processes_cannot_be_listed_is_still_a_card() -> None:
    nvml = Nvml()
    nvml.broken = "nvmlDeviceGetComputeRunningProcesses"
    [card] = read_nvidia((7,), nvml)
    assert card.own_bytes == 0 and card.free_bytes == 9 * GIB
