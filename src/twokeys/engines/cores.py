"""How many cores the engine gets: whole ones, of the fast kind, no more than a container may use.

A second thread on a core only waits for the first; a slow core holds up all the others, as they wait for
it after every layer; and beyond a container's share the kernel stops the whole process for a while. Linux
tells all three; elsewhere the physical cores count, of whatever kind.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> int:
    """Return the cores this process should compute on, at least one. root: where proc and sys stand."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    listed = whole_cores(fast_cores(allowed, root), root) if allowed else 0
    cores = listed or psutil.cpu_count(logical=False) or os.cpu_count() or 1
    share = container_share(root)
    return max(1, cores if share is None else min(cores, int(share)))


def usable_processors(root: Path = ROOT) -> int:
    """Return the processors this process may run on: second threads of a core and slow cores count too."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    processors = allowed or os.cpu_count() or 1
    share = container_share(root)
    return max(1, processors if share is None else min(processors, int(share)))


def fast_cores(allowed: Iterable[int], root: Path = ROOT) -> set[int]:
    """Return those of the processors that are of the fast kind; all of them where there is one kind.

    Intel names its performance cores as a device of their own; ARM tells a capacity for each.
    """
    allowed = set(allowed)
    fast = _numbers(_text(root / "sys/devices/cpu_core/cpus"))
    if not fast:
        folder = root / "sys/devices/system/cpu"
        capacity = {number: _text(folder / f"cpu{number}/cpu_capacity") for number in allowed}
        known = {number: int(text) for number, text in capacity.items() if text.isdecimal()}
        fast = {number for number, value in known.items() if value == max(known.values())}
    return allowed & fast or allowed


def whole_cores(processors: Iterable[int], root: Path = ROOT) -> int:
    """Return how many physical cores the processors are, 0 where that is not told."""
    cores = set()
    for number in processors:
        siblings = _text(root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        if not siblings:
            return 0
        cores.add(siblings)
    return len(cores)


def container_share(root: Path = ROOT) -> float | None:
    """Return how many processors' time this process's control groups allow, None without a limit."""
    shares = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            shares += _shares_above(root / "sys/fs/cgroup", path, _share_v2)
        elif "cpu" in controllers.split(","):
            shares += _shares_above(root / f"sys/fs/cgroup/{controllers}", path, _share_v1)
            shares += _shares_above(root / "sys/fs/cgroup/cpu", path, _share_v1)
    return min(shares, default=None)


def _shares_above(top: Path, path: str, read: Callable[[Path], float]) -> list[float]:
    """Return the limits of a group and of all groups around it; a container sees its own as the top."""
    folders = [top]
    for name in Path(path.lstrip("/")).parts:
        folders.append(folders[-1] / name)
    return [limit for folder in folders if (limit := read(folder))]


def _share_v2(group: Path) -> float:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else 0.0


def _share_v1(group: Path) -> float:
    quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else 0.0


def _numbers(listed: str) -> set[int]:
    """Read a kernel's list of processors: "0-3,8"."""
    numbers: set[int] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return ""
