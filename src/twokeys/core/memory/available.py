"""How much memory a worker may really take now: the machine, the container, other programs, cards.

Parsing is pure and tested on recorded files; `read_available` composes it for this machine. It
reads only what the kernel and the driver tell: nothing here starts, stops or limits anything.

Linux: MemAvailable of /proc/meminfo, then for every control group above this process its limit
minus what it holds and cannot drop. macOS: the system's own figure; the GPU shares it. NVIDIA: NVML,
through nvidia-ml-py. Whatever cannot be read is left out, never an error.
"""

import contextlib
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from twokeys.core.memory.plan import Room

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 60
"""Control groups v1 write "no limit" as a number beyond this."""
METAL_SHARE = 0.75
"""The part of a Mac's memory that Metal lets the GPU keep resident (Apple's recommended working set)."""


@dataclass(frozen=True, slots=True)
class MemInfo:
    """What /proc/meminfo says, in bytes."""

    total_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """One control group's memory: its limit, and what it holds without what it could drop."""

    limit_bytes: int
    held_bytes: int

    @property
    def room_bytes(self) -> int:
        return max(0, self.limit_bytes - self.held_bytes)


@dataclass(frozen=True, slots=True)
class Device:
    """A graphics card. own_bytes: held by our worker, back when it ends."""

    name: str
    total_bytes: int
    free_bytes: int
    own_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Available:
    """Memory of this machine at one moment, in bytes.

    total_bytes: of the machine, or the container's limit when that is less. free_bytes: what any
    program could take now. own_bytes: held by our worker: it comes back when the worker is started
    anew. limit_bytes: the container's limit. process_limit_bytes: what one process may hold here
    (ulimit). unified: the GPU shares the host's memory.
    """

    total_bytes: int
    free_bytes: int
    own_bytes: int = 0
    limit_bytes: int | None = None
    process_limit_bytes: int | None = None
    devices: tuple[Device, ...] = ()
    unified: bool = False

    @property
    def other_bytes(self) -> int:
        """What all other programs and the system hold."""
        return max(0, self.total_bytes - self.free_bytes - self.own_bytes)

    @property
    def worker_bytes(self) -> int:
        """What a worker started now could hold, our present one being gone by then."""
        room = min(self.total_bytes, self.free_bytes + self.own_bytes)
        return room if self.process_limit_bytes is None else min(room, self.process_limit_bytes)

    def room(self, *, limit_bytes: int | None = None) -> Room:
        """Return what a planner may use. limit_bytes: a person's own ceiling on host memory."""
        host = self.worker_bytes if limit_bytes is None else min(self.worker_bytes, limit_bytes)
        if self.unified:
            return Room(host, int(min(host, self.total_bytes * METAL_SHARE)), unified=True)
        if not self.devices:
            return Room(host)
        free = sum(device.free_bytes + device.own_bytes for device in self.devices)
        return Room(host, free, cards=len(self.devices))


# --- parsing ------------------------------------------------------------------------------------------


def parse_meminfo(text: str) -> MemInfo | None:
    """Read /proc/meminfo; None when the two figures are not in it.

    Kernels before 3.14 have no MemAvailable: free + page cache stands in for it.
    """
    sizes = {name: int(kib) << 10 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    if "MemTotal" not in sizes:
        return None
    available = sizes.get("MemAvailable")
    if available is None:
        available = sizes.get("MemFree", 0) + sizes.get("Cached", 0) - sizes.get("Shmem", 0)
    return MemInfo(sizes["MemTotal"], max(0, available))


def parse_stat(text: str) -> Mapping[str, int]:
    """Read a control group's memory.stat."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def reclaimable_bytes(stat: Mapping[str, int]) -> int:
    """Return what the kernel would drop before it refuses: clean file cache and free-able slabs.

    v1 counts the group's children under `total_…`; v2 always counts them.
    """

    def value(name: str) -> int:
        return stat.get(f"total_{name}", stat.get(name, 0))

    files = value("inactive_file") + value("active_file")
    waiting = value("file_dirty") + value("file_writeback") + value("dirty") + value("writeback")
    return max(0, files - waiting) + value("slab_reclaimable")


def parse_group(limits: Sequence[str], current: str, stat: str) -> GroupMemory | None:
    """Read one control group. limits: the contents of memory.max and memory.high (v2) or of
    memory.limit_in_bytes (v1). Returns None when none of them limits anything.
    """
    numbers = [int(text) for text in map(str.strip, limits) if text.isdigit()]
    numbers = [number for number in numbers if number < NO_LIMIT]
    if not numbers or not current.strip().isdigit():
        return None
    held = max(0, int(current) - reclaimable_bytes(parse_stat(stat)))
    return GroupMemory(min(numbers), held)


def parse_own_groups(text: str) -> tuple[str | None, str | None]:
    """Read /proc/self/cgroup: the path in the v2 hierarchy and in v1's memory hierarchy."""
    unified = memory = None
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            unified = path
        elif "memory" in controllers.split(","):
            memory = path
    return unified, memory


# --- this machine -------------------------------------------------------------------------------------


def read_available(
    own_bytes: int = 0,
    own_pids: Sequence[int] = (),
    *,
    proc: Path = PROC,
    cgroup: Path = CGROUP,
    with_devices: bool = True,
) -> Available:
    """Return the memory of this machine now. own_bytes: anonymous memory of our worker."""
    machine = _read_machine(proc)
    groups = list(read_groups(proc, cgroup))
    total = min([machine.total_bytes, *(group.limit_bytes for group in groups)])
    free = min([machine.available_bytes, *(group.room_bytes for group in groups)])
    return Available(
        total_bytes=total,
        free_bytes=free,
        own_bytes=min(own_bytes, total - free),
        limit_bytes=total if total < machine.total_bytes else None,
        process_limit_bytes=_process_limit(),
        devices=read_nvidia(own_pids) if with_devices else (),
        unified=is_unified(sys.platform, platform.machine()),
    )


def read_groups(proc: Path, cgroup: Path) -> Iterator[GroupMemory]:
    """Yield every limited control group that this process is in, the innermost first.

    Within a container the path told may be the host's and not be there: then the mount's root is ours.
    """
    unified, memory = parse_own_groups(_text(proc / "self" / "cgroup"))
    for path, root, names in (
        (unified, cgroup, ("memory.max", "memory.high", "memory.current")),
        (memory, cgroup / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    ):
        if path is None:
            continue
        folder = root / path.lstrip("/")
        folders = [folder, *folder.parents] if folder.is_dir() else [root]
        for level in folders:
            *limits, current = [_text(level / name) for name in names]
            group = parse_group(limits, current, _text(level / "memory.stat"))
            if group is not None:
                yield group
            if level == root:
                break


def is_unified(system: str, machine: str) -> bool:
    """Return whether the GPU shares the host's memory: Macs with Apple's own processors."""
    return system == "darwin" and machine == "arm64"


def read_nvidia(own_pids: Sequence[int] = (), nvml: Any = None) -> tuple[Device, ...]:
    """Return the NVIDIA cards, none without the library, driver or card. nvml: the module to ask."""
    if nvml is None:
        try:
            import pynvml
        except ImportError:
            return ()
        nvml = pynvml
    cards = []
    try:
        nvml.nvmlInit()
    except Exception:  # noqa: BLE001 (a driver's trouble of any kind means: no card to plan with)
        return ()
    try:
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            name = nvml.nvmlDeviceGetName(handle)
            shown = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            own = _own_on_card(nvml, handle, own_pids)
            cards.append(Device(shown, int(memory.total), int(memory.free), own))
    except Exception:  # noqa: BLE001 (a card that answers half is no card to plan with)
        return tuple(cards)
    finally:
        with contextlib.suppress(Exception):
            nvml.nvmlShutdown()
    return tuple(cards)


def _own_on_card(nvml: Any, handle: Any, own_pids: Sequence[int]) -> int:
    if not own_pids:
        return 0
    with contextlib.suppress(Exception):
        users = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return sum(int(user.usedGpuMemory or 0) for user in users if user.pid in own_pids)
    return 0


def _read_machine(proc: Path) -> MemInfo:
    info = parse_meminfo(_text(proc / "meminfo")) if sys.platform == "linux" else None
    if info is not None:
        return info
    memory = psutil.virtual_memory()
    return MemInfo(memory.total, memory.available)


def _process_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    finite = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return min(finite, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
