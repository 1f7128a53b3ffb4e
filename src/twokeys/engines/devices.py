"""Which graphics cards the engine itself can use, asked in a process of its own.

The bundled library is asked by a short script, a llama-server by `--list-devices`. A processor is
no device here. An engine that cannot be asked has none; that is never an error. One card is listed
once, however many backends see it, and one that shares the processor's memory only where there is no
other: llama.cpp uses them so.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

PROBE_TIMEOUT_S = 20.0
SAME_SIZE = 0.05
"""Two backends tell sizes of one card that differ by less than this share."""
_PROBE = (
    "import json, xllamacpp as x; print(json.dumps([[d['name'], d['description'], d['memory_total'], "
    "d['memory_free'], 'IGPU' in repr(d['type']), d.get('device_id') or ''] for d in x.get_device_info() "
    "if 'GPU' in repr(d['type'])]))"
)
_DEVICE_LINE = re.compile(r"^\s+(\w+): (.+) \((\d+) MiB, (\d+) MiB free\)$")
_INTEGRATED = re.compile(
    r"\b(?:U?HD|Iris|Xe) Graphics\b|\bIris\(R\)|\bRadeon(?:\(TM\)| )+(?:Graphics|Vega|\d{3}M)\b",
    re.IGNORECASE,
)
"""Names of processors' own graphics: `--list-devices` does not say which kind a device is."""
_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
_USING = re.compile(r"using device (\w+) \((.*)\) \([^()]*\) - ")
_BUFFER = re.compile(r"\b(\w*[A-Za-z]\d+)\s+(?:model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")


@dataclass(frozen=True, slots=True)
class EngineDevice:
    """A card by the engine's own name ("CUDA0"), with its memory in bytes.

    integrated: it shares the processor's memory. card_id: the same for one card in every backend, "" unknown.
    """

    name: str
    description: str
    total_bytes: int
    free_bytes: int
    integrated: bool = False
    card_id: str = ""

    @property
    def backend(self) -> str:
        return self.name.rstrip("0123456789")


@dataclass(frozen=True, slots=True)
class Offload:
    """Where a worker's log says that a model lies: the cards by their names, and layers on them of all."""

    devices: tuple[str, ...] = ()
    layers: int = 0
    of_layers: int = 0


@cache
def _bundled() -> str:
    """Return what the bundled library tells of its devices; "[]" for good where it has none."""
    return _output([sys.executable, "-P", "-c", _PROBE]) or "[]"


def list_devices(server_binary: str | None = None) -> tuple[EngineDevice, ...]:
    """Return the cards that the engine uses; blocks for up to some seconds."""
    if server_binary:
        return used_devices(parse_device_list(_output([server_binary, "--list-devices"])))
    try:
        rows = json.loads(_bundled())
        if rows:  # what is free changes; that there is none does not
            _bundled.cache_clear()
    except ValueError:
        return ()
    return used_devices(EngineDevice(*row) for row in rows)


def parse_device_list(text: str) -> tuple[EngineDevice, ...]:
    """Read what `llama-server --list-devices` prints."""
    matches = (_DEVICE_LINE.match(line) for line in text.splitlines())
    return tuple(
        EngineDevice(
            match[1], match[2], int(match[3]) << 20, int(match[4]) << 20, bool(_INTEGRATED.search(match[2]))
        )
        for match in matches
        if match and match[1] != "CPU"
    )


def used_devices(listed: Iterable[EngineDevice]) -> tuple[EngineDevice, ...]:
    """Return each card once, and those that share the processor's memory only without another."""
    cards: list[EngineDevice] = []
    for device in listed:
        if not any(_same_card(device, card) for card in cards):
            cards.append(device)
    return tuple(card for card in cards if not card.integrated) or tuple(cards)


def read_buffers(log: str) -> Mapping[str, int]:
    """Return the bytes that a worker holds on each card, by the engine's names, from its log."""
    held: dict[str, float] = {}
    for name, mib in _BUFFER.findall(log):
        held[name] = held.get(name, 0.0) + float(mib)
    return {name: int(mib * (1 << 20)) for name, mib in held.items() if not name.startswith("CPU")}


def read_offload(log: str) -> Offload:
    """Return what a llama-server's log says of where the layers went.

    Without a device it counts layers as offloaded all the same, so a buffer has to lie on one.
    """
    offloaded = _OFFLOADED.search(log)
    devices = tuple(dict.fromkeys(match[2] for match in _USING.finditer(log)))
    if offloaded is None:
        return Offload(devices)
    if not read_buffers(log):
        return Offload((), 0, int(offloaded[2]))
    return Offload(devices, int(offloaded[1]), int(offloaded[2]))


def _same_card(first: EngineDevice, other: EngineDevice) -> bool:
    if first.card_id and other.card_id:
        return first.card_id == other.card_id
    if first.backend == other.backend:
        return False
    names = [set(re.findall(r"[A-Za-z0-9]+", card.description.lower())) for card in (first, other)]
    alike = names[0] <= names[1] or names[1] <= names[0]
    return alike and abs(first.total_bytes - other.total_bytes) <= SAME_SIZE * max(
        first.total_bytes, other.total_bytes
    )


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
