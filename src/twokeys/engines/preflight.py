"""llama.cpp's own memory figures for a start, read before it loads any weights.

With its parameter fitting on, llama.cpp builds the graph without data and prints a breakdown in MiB
within the first second; the worker is ended as soon as it is read. It covers the buffers only: the
process itself, the vocabulary and a graphics card's context are not in it.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from twokeys.engines.cores import usable_cores
from twokeys.engines.process import WORKER_SCRIPT
from twokeys.errors import EngineStartFailed, Reason
from twokeys.types import WorkerSpec

MIB = 1 << 20
TIMEOUT_S = 60.0
ENDING_S = 5.0
_HEADER = "memory breakdown [MiB]"
_ROW = re.compile(r"\|\s+- (.+?)\s+\|(.*)\|\s*$")
_SELF = re.compile(r"(\d+) =\s+(\d+) \+\s+(\d+) \+\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Buffers in bytes, exact to 1 MiB. place: "Host" or a device's name."""

    place: str
    model_bytes: int
    kv_bytes: int
    compute_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.model_bytes + self.kv_bytes + self.compute_bytes


def preflight(spec: WorkerSpec) -> tuple[Breakdown, ...]:
    """Return llama.cpp's breakdown for a start without loading the model; blocks for about a second.

    It is asked of the llama-server that the spec names, of the bundled library without one.

    Raises EngineStartFailed when it prints none (a llama-server of another version, a broken file).
    """
    order = asdict(spec) | {"key": "preflight", "preflight": True, "verbosity": 4}
    order |= {"threads": spec.threads or usable_cores()}
    process = subprocess.Popen(
        [sys.executable, "-P", str(WORKER_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    tail: list[str] = []
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        rows = read_breakdown(_noting(process.stderr or (), tail))
    except BrokenPipeError:
        rows = ()
    finally:
        timer.cancel()
        _end(process)
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()
    if not rows:
        log = "\n".join(tail[-20:])
        raise EngineStartFailed(reason=Reason("errors.reason.no_breakdown"), command="", log=log)
    return rows


def _end(process: "subprocess.Popen[str]") -> None:
    """End the worker, which ends the llama-server that it guards, before the model is loaded."""
    process.terminate()
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_breakdown(lines: Iterable[str]) -> tuple[Breakdown, ...]:
    """Read the breakdown's table from a log; nothing is read past its end."""
    rows: list[Breakdown] = []
    within = False
    for line in lines:
        if _HEADER in line:
            within = True
        elif within:
            row = _read_row(line)
            if row is None:
                break
            rows.append(row)
    return tuple(rows)


def _read_row(line: str) -> Breakdown | None:
    row = _ROW.search(line)
    sizes = _SELF.search(row[2]) if row else None
    if row is None or sizes is None:
        return None
    model, kv, compute = (int(sizes[index]) * MIB for index in (2, 3, 4))
    return Breakdown(row[1].strip(), model, kv, compute)


def _noting(lines: Iterable[str], into: list[str]) -> Iterable[str]:
    for line in lines:
        into.append(line.rstrip())
        yield line
