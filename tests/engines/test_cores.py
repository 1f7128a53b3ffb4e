"""The cores that are computed on: a kernel's files as they stand on other machines."""

from pathlib import Path

import pytest

from twokeys.engines.cores import container_share, fast_cores, usable_cores, whole_cores


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="ascii")


def threads(root: Path, *cores: str) -> None:
    """Give processors to physical cores: "0,4" are two threads of one."""
    for core in cores:
        for number in core.split(","):
            write(root, {f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list": core})


def test_two_threads_of_a_core_are_one(tmp_path: Path) -> None:
    threads(tmp_path, "0,4", "1,5", "2,6", "3,7")
    assert whole_cores(range(8), tmp_path) == 4
    assert whole_cores([0, 4], tmp_path) == 1
    assert whole_cores([0, 9], tmp_path) == 0, "not told: something else has to say it"


def test_of_two_kinds_of_cores_the_fast_ones_count(tmp_path: Path) -> None:
    threads(tmp_path, "0,1", "2,3", "4", "5", "6", "7")
    write(tmp_path, {"sys/devices/cpu_core/cpus": "0-3"})
    assert fast_cores(range(8), tmp_path) == {0, 1, 2, 3}
    assert whole_cores(fast_cores(range(8), tmp_path), tmp_path) == 2
    assert fast_cores([5, 6], tmp_path) == {5, 6}, "held to slow ones, those are what there is"


def test_on_arm_the_capacity_tells_the_kinds_apart(tmp_path: Path) -> None:
    for number, capacity in enumerate((446, 446, 1024, 1024)):
        write(tmp_path, {f"sys/devices/system/cpu/cpu{number}/cpu_capacity": str(capacity)})
    assert fast_cores(range(4), tmp_path) == {2, 3}


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, None),
        (
            {
                "proc/self/cgroup": "0::/user.slice/app",
                "sys/fs/cgroup/user.slice/cpu.max": "200000 100000",
                "sys/fs/cgroup/user.slice/app/cpu.max": "max 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/docker/1",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        ({"proc/self/cgroup": "1:cpu:/", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None),
        ({}, None),
    ],
)
def test_a_container_has_the_share_that_its_groups_allow(
    files: dict[str, str], share: float | None, tmp_path: Path
) -> None:
    write(tmp_path, files)
    assert container_share(tmp_path) == share


def test_at_least_one_core_is_used_and_a_small_share_counts_here_too(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert usable_cores(tmp_path) == 1
    assert usable_cores() >= 1
