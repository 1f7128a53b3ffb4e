"""Which graphics cards the engine itself can use, asked in a process of its own.

The bundled library is asked by a short script, a llama-server by `--list-devices`. A processor is
no device here. An engine that cannot be asked has none; that is never an error.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

PROBE_TIMEOUT_S = 20.0
_PROBE = (
    "import json, xllamacpp as x; print(json.dumps([[d['name'], d['description'], d['memory_total'], "
    "d['memory_free']] for d in x.get_device_info() if 'GPU' in repr(d['type'])]))"
)
_DEVICE_LINE = re.compile(r"^\s+(\w+): (.+) \((\d+) MiB, (\d+) MiB free\)$")


@dataclass(frozen=True, slots=True)
class EngineDevice:
    """A card by the engine's own name ("CUDA0"), with its memory in bytes."""

    name: str
    description: str
    total_bytes: int
    free_bytes: int


def list_devices(server_binary: str | None = None) -> tuple[EngineDevice, ...]:
    """Return the cards that the engine can use; blocks for up to some seconds."""
    if server_binary:
        return parse_device_list(_output([server_binary, "--list-devices"]))
    try:
        rows = json.loads(_output([sys.executable, "-P", "-c", _PROBE]) or "[]")
    except ValueError:
        return ()
    return tuple(EngineDevice(name, text, int(total), int(free)) for name, text, total, free in rows)


def parse_device_list(text: str) -> tuple[EngineDevice, ...]:
    """Read what `llama-server --list-devices` prints."""
    found = (_DEVICE_LINE.match(line) for line in text.splitlines())
    return tuple(
        EngineDevice(match[1], match[2], int(match[3]) << 20, int(match[4]) << 20)
        for match in found
        if match and match[1] != "CPU"
    )


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
