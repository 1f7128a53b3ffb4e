"""Tries a llama-server that a person named, as the worker would start it: its flags, or a whole start.

Nothing of it stays: the process is ended, its files lie in a folder that the caller removes. Does not
judge speed or answers.
"""

import asyncio
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twokeys.engines.local import LocalEngine
from twokeys.engines.worker import binary_command, binary_environment
from twokeys.errors import EngineStartFailed, EngineUnreachable, Reason
from twokeys.types import EngineInfo, WorkerSpec

FLAGS_TIMEOUT_S = 20.0
START_TIMEOUT_S = 120.0
CONTEXT = 256
HOST = "host"
_BUFFER = re.compile(r"(\w+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")


@dataclass(frozen=True, slots=True)
class Buffers:
    """What a worker holds in one place, in bytes. kv_bytes: recurrent states too."""

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int


def try_flags(binary: str) -> None:
    """Raise EngineStartFailed when the binary refuses the arguments that the worker gives it."""
    order = {"server_binary": binary, "model_path": "model.gguf", "context": CONTEXT, "key": "trial"}
    command = [*binary_command(order, 0), "--help"]
    try:
        done = subprocess.run(
            command,
            env=binary_environment(order),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FLAGS_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise EngineStartFailed(reason=str(exc), command=" ".join(command), log="") from exc
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        cause = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "")
        reason = Reason("errors.reason.exit_code", code=done.returncode, log=f"; {cause}")
        raise EngineStartFailed(reason=reason, command=" ".join(command), log="\n".join(lines[-20:]))


def try_start(binary: str, model: Path, folder: Path) -> EngineInfo:
    """Start the binary with a model and a small context on the processor, and end it again.

    folder: for its log and its mark. Raises EngineStartFailed, EngineOutOfMemory or ModelError.
    """
    spec = WorkerSpec(str(model), model.stem, context=CONTEXT, server_binary=binary)
    return asyncio.run(_start_and_end(LocalEngine(spec, folder / "run", folder / "logs")))


def measure_start(spec: WorkerSpec, folder: Path) -> Mapping[str, Buffers]:
    """Start a worker, end it, and return the buffers that its log names: of "host" and of each card.

    Raises EngineStartFailed, EngineOutOfMemory or ModelError.
    """
    return read_places(asyncio.run(_start_log(LocalEngine(spec, folder / "run", folder / "logs"))))


def read_places(log: str) -> Mapping[str, Buffers]:
    """Return the buffers of each place; what a backend keeps in host memory is the host's."""
    held: dict[str, dict[str, float]] = {}
    for place, kind, mib in _BUFFER.findall(log):
        kinds = held.setdefault(place if place[-1].isdigit() else HOST, {})
        kinds[kind] = kinds.get(kind, 0.0) + float(mib) * (1 << 20)
    return {
        place: Buffers(
            round(kinds.get("model", 0)),
            round(kinds.get("KV", 0) + kinds.get("RS", 0)),
            round(kinds.get("compute", 0) + kinds.get("output", 0)),
        )
        for place, kinds in held.items()
    }


async def _start_log(engine: LocalEngine) -> str:
    try:
        await asyncio.wait_for(engine.start(), START_TIMEOUT_S)
        return engine.start_log()
    except TimeoutError as exc:
        reason = Reason("errors.reason.no_answer_in_time", kind=f"{START_TIMEOUT_S:.0f} s")
        raise EngineUnreachable(url=str(engine.spec.server_binary), reason=reason) from exc
    finally:
        await engine.close()


async def _start_and_end(engine: LocalEngine) -> EngineInfo:
    try:
        return await asyncio.wait_for(engine.start(), START_TIMEOUT_S)
    except TimeoutError as exc:
        reason = Reason("errors.reason.no_answer_in_time", kind=f"{START_TIMEOUT_S:.0f} s")
        raise EngineUnreachable(url=str(engine.spec.server_binary), reason=reason) from exc
    finally:
        await engine.close()
