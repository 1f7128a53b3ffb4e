"""Looks at the cards of this machine. A script run by itself: nothing of TwoKeys is imported.

Drivers that are asked here have crashed and hung in the field. Each look is announced with one line of
JSON and its result is another, so that what was found before a crash counts and the culprit is known.
"""

import ctypes
import faulthandler
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

NVIDIA, AMD, INTEL = 0x10DE, 0x1002, 0x8086
VENDORS = {NVIDIA: "nvidia", AMD: "amd", INTEL: "intel", 0x106B: "apple"}
KINDS = {1: "integrated", 2: "discrete", 3: "virtual", 4: "software"}

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
DRIVER_FOLDERS = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")
LONGEST_S = 20.0
"""The script ends after so long, hung in a driver too: whoever started it may have ended long before."""


class Nothing(Exception):
    """The look was not possible here, and why: a word that survey.py knows."""


def main() -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        faulthandler.dump_traceback_later(LONGEST_S, exit=True, file=nowhere)
        look_around()
        faulthandler.cancel_dump_traceback_later()


def look_around() -> None:
    for name, look in LOOKS.items():
        say({"look": name})
        try:
            result: dict[str, Any] = {"cards": look()}
        except Nothing as nothing:
            result = {"cards": [], "problem": str(nothing)}
        except Exception as error:  # noqa: BLE001 - whatever a driver's library does is a finding
            result = {"cards": [], "problem": "failed", "detail": f"{type(error).__name__}: {error}"}
        say({"look": name, **result})


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def facts() -> list[dict[str, Any]]:
    system, machine = platform.system().lower(), platform.machine().lower()
    libc, version = platform.libc_ver()
    return [
        {
            "system": system,
            "machine": {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
            "glibc": version if libc == "glibc" else "",
            "wsl": "microsoft" in read("/proc/version").lower(),
            "container": any(map(Path.exists, map(Path, CONTAINER_MARKS))),
            "flags": processor_flags(),
        }
    ]


def processor_flags() -> list[str]:
    for line in read("/proc/cpuinfo").splitlines():
        if line.lower().startswith(("flags", "features")):
            return [flag for flag in line.partition(":")[2].split() if flag.startswith(("avx", "amx"))]
    return []


def pci() -> list[dict[str, Any]]:
    """Display adapters by the bus alone: they are seen without any driver (Linux)."""
    cards = []
    for path in sorted(Path("/sys/bus/pci/devices").glob("*")):
        if read(path / "class").startswith("0x03"):
            vendor = int(read(path / "vendor") or "0", 16)
            if vendor in VENDORS:
                cards.append({"vendor": VENDORS[vendor], "address": path.name})
    return cards


def nvml() -> list[dict[str, object]]:
    try:
        import pynvml
    except ImportError:
        raise Nothing("absent") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
        raise Nothing("absent" if error.value in absent else "failed") from None
    driver = text(pynvml.nvmlSystemGetDriverVersion())
    cards = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        compute = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        cards.append(
            {
                "name": text(pynvml.nvmlDeviceGetName(handle)),
                "vendor": "nvidia",
                "kind": "discrete",
                "total_bytes": int(memory.total),
                "driver": driver,
                "compute": ".".join(map(str, compute)),
                "bandwidth": bandwidth(pynvml, handle),
            }
        )
    return cards


def bandwidth(pynvml: Any, handle: Any) -> int:
    """Return the bytes a second that a card's memory moves: twice a clock over its whole bus; 0 unknown."""
    try:
        clock_mhz = pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
        return 2 * int(clock_mhz) * 1_000_000 * int(pynvml.nvmlDeviceGetMemoryBusWidth(handle)) // 8
    except (AttributeError, pynvml.NVMLError):  # older drivers and modules do not know it
        return 0


def rocm() -> list[dict[str, object]]:
    """AMD's cards as the compute driver of the kernel lists them."""
    nodes = sorted(Path("/sys/class/kfd/kfd/topology/nodes").glob("*"))
    if not nodes:
        raise Nothing("absent")
    cards = []
    for node in nodes:
        pairs = (line.split() for line in read(node / "properties").splitlines())
        values = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        version = int(values.get("gfx_target_version", "0"))
        if version and int(values.get("simd_count", "0")):
            major, minor, step = version // 10000, version // 100 % 100, version % 100
            held = [int(read(path).split("size_in_bytes ")[1].split()[0]) for path in banks(node)]
            cards.append(
                {
                    "name": read(node / "name").strip() or f"gfx{major}{minor:x}{step:x}",
                    "vendor": "amd",
                    "target": f"gfx{major}{minor:x}{step:x}",
                    "total_bytes": sum(held),
                }
            )
    return cards


def banks(node: Path) -> list[Path]:
    """Return the memory banks of a card that are its own (heap types 1 and 2)."""
    properties = sorted(node.glob("mem_banks/*/properties"))
    return [path for path in properties if any(f"heap_type {kind}\n" in read(path) for kind in (1, 2))]


def metal() -> list[dict[str, Any]]:
    if sys.platform != "darwin":
        raise Nothing("absent")
    if platform.machine() != "arm64":
        raise Nothing("intel_mac")
    total = int(subprocess.check_output(["sysctl", "-n", "hw.memsize"]))
    name = subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return [{"name": name, "vendor": "apple", "kind": "unified", "total_bytes": total}]


class InstanceInfo(ctypes.Structure):
    """VkInstanceCreateInfo, with VkApplicationInfo behind `application`."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layers", ctypes.c_uint32),
        ("layer_names", ctypes.c_void_p),
        ("extensions", ctypes.c_uint32),
        ("extension_names", ctypes.c_void_p),
    )


class Properties(ctypes.Structure):
    """The beginning of VkPhysicalDeviceProperties, and room for the rest of it."""

    _fields_ = (
        ("api", ctypes.c_uint32),
        ("driver", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("kind", ctypes.c_int),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_uint8 * 1024),
    )


class VulkanMemory(ctypes.Structure):
    """VkPhysicalDeviceMemoryProperties."""

    class Heap(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint64), ("flags", ctypes.c_uint32))

    _fields_ = (
        ("types", ctypes.c_uint32),
        ("type", ctypes.c_uint32 * 64),
        ("heaps", ctypes.c_uint32),
        ("heap", Heap * 16),
    )


def vulkan() -> list[dict[str, Any]]:
    library = open_vulkan()
    instance = ctypes.c_void_p()
    info = InstanceInfo(kind=1)
    code = library.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance))
    if code != 0:
        raise Nothing("no_driver")  # VK_ERROR_INCOMPATIBLE_DRIVER and its like
    count = ctypes.c_uint32()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * count.value)()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    cards = [vulkan_card(library, ctypes.c_void_p(device)) for device in devices]
    library.vkDestroyInstance(instance, None)
    return cards


def vulkan_card(library: Any, device: ctypes.c_void_p) -> dict[str, Any]:
    properties, memory = Properties(), VulkanMemory()
    library.vkGetPhysicalDeviceProperties(device, ctypes.byref(properties))
    library.vkGetPhysicalDeviceMemoryProperties(device, ctypes.byref(memory))
    heaps = [memory.heap[i] for i in range(memory.heaps)]
    return {
        "name": properties.name.decode("utf-8", "replace"),
        "vendor": VENDORS.get(properties.vendor, "other"),
        "kind": KINDS.get(properties.kind, "unknown"),
        "vulkan": f"{properties.api >> 22 & 0x7F}.{properties.api >> 12 & 0x3FF}",
        "total_bytes": sum(heap.size for heap in heaps if heap.flags & 1),
    }


def open_vulkan() -> Any:
    """Load the system's Vulkan loader, or the one that was named as this script's argument."""
    names = ["vulkan-1.dll"] if sys.platform == "win32" else ["libvulkan.so.1", *sys.argv[1:2]]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    if any(list(Path(folder).glob("*.json")) for folder in DRIVER_FOLDERS):
        raise Nothing("no_loader")
    raise Nothing("absent")


def read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


LOOKS = {"facts": facts, "pci": pci, "nvml": nvml, "rocm": rocm, "metal": metal, "vulkan": vulkan}

if __name__ == "__main__":
    main()
