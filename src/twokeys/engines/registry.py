"""Which worker processes run, known to every TwoKeys on the same home.

Each worker has a file `run_dir/worker-<pid>.json` without secrets. A release from another process
renames it to `.released` before it ends the worker, so that the owner sees a release, not a crash.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from twokeys.types import ReleaseReport

TERM_GRACE_S = 1.0
KILL_WAIT_S = 10.0
STALE_S = 60.0


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A running worker. created_at: Unix time of its start.

    start_mark: what tells it from a later process with its number, see `start_mark`; "" in records of
    earlier versions, which are told by created_at.
    """

    pid: int
    created_at: float
    owner_pid: int
    model: str
    slot_dir: str | None = None
    start_mark: str = ""


def register(run_dir: Path, record: WorkerRecord) -> Path:
    """Write the worker's file, readable by its owner only, and return its path."""
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / f"worker-{record.pid}.json"
    _mark(path).unlink(missing_ok=True)
    draft = path.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(record), file)
    draft.replace(path)
    return path


def unregister(path: Path) -> bool:
    """Remove the worker's file. Return whether it had been released from outside."""
    released = _mark(path).exists()
    path.unlink(missing_ok=True)
    _mark(path).unlink(missing_ok=True)
    return released


def was_released(path: Path) -> bool:
    """Return whether another process has asked for the end of this worker."""
    return _mark(path).exists()


def list_workers(run_dir: Path) -> list[WorkerRecord]:
    """Return the workers that run now; files of dead ones are removed."""
    running: list[WorkerRecord] = []
    for path in sorted(run_dir.glob("worker-*.json")):
        record = _read(path)
        if record is not None and _runs(record):
            running.append(record)
        else:
            path.unlink(missing_ok=True)
    return running


def sweep(run_dir: Path) -> None:
    """Remove what killed apps left behind: marks and saved slots, which hold conversations' text."""
    used = {record.slot_dir for record in list_workers(run_dir)}
    for mark in run_dir.glob("worker-*.released"):
        if _age_s(mark) > STALE_S:
            mark.unlink(missing_ok=True)
    for folder in run_dir.glob("slots-*"):
        if folder.name not in used and _age_s(folder) > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)


def release_workers(run_dir: Path) -> ReleaseReport:
    """End every worker of this home and return what came back. Blocks for up to some seconds."""
    before = after = 0
    for record in list_workers(run_dir):
        memory = memory_bytes(record.pid)
        path = run_dir / f"worker-{record.pid}.json"
        with contextlib.suppress(FileNotFoundError):
            path.rename(_mark(path))
        if _runs(record):
            end_process(record.pid)
        before += memory
        after += memory_bytes(record.pid) if _runs(record) else 0
    return ReleaseReport(before, after, before - after)


def start_mark(pid: int) -> str:
    """Return what tells a process from a later one with the same number; "" when it does not run.

    On Linux the boot and the clock ticks since then: the start in Unix time is computed from the present
    clock there, and moves with it. Elsewhere the system keeps the start time.
    """
    try:
        if sys.platform != "linux":
            return f"{psutil.Process(pid).create_time():.2f}"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return f"{boot}:{fields.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError, psutil.Error):
        return ""


def end_process(pid: int) -> None:
    """End a process and its children: politely, then by force. A stopped one is forced at once."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
        stopped = process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return
    if not stopped:
        _signal(process, signal.SIGTERM)
        _gone, family = psutil.wait_procs(family, timeout=TERM_GRACE_S)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=KILL_WAIT_S)


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def family(pid: int) -> tuple[int, ...]:
    """Return a process and all its children: a llama-server is a child of its worker."""
    try:
        return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
    except psutil.Error:
        return (pid,)


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and its children: PSS on Linux, else their resident size."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_own_memory(member) for member in family)


def anonymous_bytes(pid: int) -> int:
    """Return the memory that comes back for certain when a process and its children end.

    Not the pages of mapped files: those count as available already. 0 when it does not run.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_own_memory(member, "Pss_Anon:") for member in family)


def _own_memory(process: psutil.Process, field: str = "Pss:") -> int:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _mark(path: Path) -> Path:
    return path.with_suffix(".released")


def _read(path: Path) -> WorkerRecord | None:
    try:
        return WorkerRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _runs(record: WorkerRecord) -> bool:
    try:
        process = psutil.Process(record.pid)
        if record.start_mark:
            same = start_mark(record.pid) == record.start_mark
        else:
            same = abs(process.create_time() - record.created_at) <= 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
