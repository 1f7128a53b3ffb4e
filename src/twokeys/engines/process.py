"""The supervisor of one worker process: spawn, watch, explain its end, stop it.

It owns the process by its handle and stops nothing else. It knows nothing of HTTP or of what the
worker says once it is ready.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from twokeys.engines import registry
from twokeys.engines.cores import usable_cores
from twokeys.engines.memory_words import tells_of_device, tells_of_memory
from twokeys.errors import EngineDied, EngineError, EngineOutOfMemory, EngineStartFailed, Reason
from twokeys.types import Phase, WorkerSpec

WORKER_SCRIPT = Path(__file__).with_name("worker.py")
LOG_LINES = 400
START_LINES = 400
LOG_BYTES = 4 << 20
KEPT_LOGS = 5
POLL_S = 0.03
PROGRESS_EVERY = 8
PATIENCE = {"GOMP_SPINCOUNT": "1000"}
"""Rounds a thread of llama.cpp spins at a barrier before it sleeps (libgomp: 300 000, about a millisecond);
spinning threads take the cores from the thread they wait for as soon as another program wants one."""

_ERROR_LINE = re.compile(r"^(?:\S+ E |error: )(.*)")
"""llama.cpp marks errors of its log with a letter; what it says of its arguments begins with the word."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """What the worker said when it was ready. context: tokens per slot after clamping."""

    address: str
    context: int
    training_context: int | None = None
    server_pid: int | None = None


class WorkerProcess:
    """One run of the worker, from spawn to end. Not reusable."""

    def __init__(self, spec: WorkerSpec, run_dir: Path, log_dir: Path) -> None:
        self.spec = spec
        self.key = secrets.token_urlsafe(32)
        self.ready: WorkerReady | None = None
        self.released = False
        self._server: psutil.Process | None = None
        self._run_dir = run_dir
        registry.sweep(_private(run_dir))
        self._slot_dir = Path(tempfile.mkdtemp(prefix="slots-", dir=_private(run_dir)))
        self._log = LogTail(_private(log_dir))
        self._said: list[str] = []
        self._kills_before = oom_kills()
        self._process = self._spawn()
        self._log.name_file(self._process.pid)
        self._pumps = [
            _pump(self._process.stderr, self._log.add),
            _pump(self._process.stdout, self._said.append),
        ]
        self._record = registry.register(run_dir, self._describe())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def ended_on_purpose(self) -> bool:
        """Whether we, or a release from another process, ended it."""
        return self.released or registry.was_released(self._record)

    @property
    def slot_dir(self) -> Path:
        """Where saved slots lie. They hold the conversation's text: removed with the process."""
        return self._slot_dir

    def memory_bytes(self) -> int:
        return registry.memory_bytes(self.pid) if self.running else 0

    def log_tail(self, lines: int) -> str:
        return "\n".join(self._log.tail(lines))

    def start_log(self) -> str:
        return "\n".join(self._log.first())

    def command(self) -> str:
        """Return a command line that starts the same by hand, without any key."""
        order = json.dumps({k: v for k, v in asdict(self.spec).items() if v is not None})
        return shlex.join([sys.executable, str(WORKER_SCRIPT), "--order", order])

    async def wait_ready(self) -> AsyncIterator[Phase]:
        """Yield the phases of the start until the worker is ready.

        The loading progress is the process's memory beside the size of the file: an estimate.
        Raises EngineStartFailed or EngineOutOfMemory when the process ends first.
        """
        yield Phase("starting")
        size = _file_size(self.spec.model_path)
        base: int | None = None
        rounds = 0
        while self.ready is None:
            if not self.running and not any(pump.is_alive() for pump in self._pumps):
                self._read_ready()
                if self.ready is None:
                    raise self.start_failure()
            self._read_ready()
            if rounds % PROGRESS_EVERY == 0 and self.ready is None:
                memory = self.memory_bytes()
                base = memory if base is None else base
                share = min(0.99, (memory - base) / size) if size else None
                yield Phase("loading", share)
            rounds += 1
            await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        """End the process and wait until it is gone; its memory is back when this returns."""
        self.released = True
        await asyncio.shield(asyncio.to_thread(self.stop_now))

    def stop_now(self) -> None:
        """The blocking form of stop: standard input closed, SIGTERM, then SIGKILL."""
        self.released = True
        self._close_input()
        if self.running:
            registry.end_process(self.pid)
        self._process.wait()
        self.clean_up()

    def clean_up(self) -> None:
        """Remove what the ended process left: its registry entry and the saved slots."""
        self._close_input()
        if self._server is not None:
            with contextlib.suppress(psutil.Error):
                self._server.kill()
        self.released = registry.unregister(self._record) or self.released
        shutil.rmtree(self._slot_dir, ignore_errors=True)
        for pump in self._pumps:
            pump.join(timeout=2)
        self._log.close()

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def start_failure(self) -> EngineError:
        """Return why the start failed, from the exit code and the log's error lines."""
        if self._out_of_memory():
            return self._memory_error()
        return EngineStartFailed(reason=self._reason(), command=self.command(), log=self.log_tail(20))

    def failure(self) -> EngineError:
        """Return why the ended process ended while it worked."""
        if self._out_of_memory():
            return self._memory_error()
        return EngineDied(reason=self._reason(), log=self.log_tail(20))

    def _memory_error(self) -> EngineOutOfMemory:
        """Return the error, with device=True when it was a graphics card's memory: layers help then."""
        if any(tells_of_device(line) for line in self._log.tail(60)):
            return EngineOutOfMemory(reason=self._reason(), device=True)
        return EngineOutOfMemory(reason=self._reason())

    def _out_of_memory(self) -> bool:
        """A SIGKILL counts as out of memory unless the kernel's own counter says otherwise."""
        if any(tells_of_memory(line) for line in self._log.tail(60)):
            return True
        if os.name != "posix" or self._process.poll() != -signal.SIGKILL:
            return False
        kills = oom_kills()
        return kills is None or self._kills_before is None or kills > self._kills_before

    def _reason(self) -> Reason:
        errors = [match.group(1) for line in self._log.tail(60) if (match := _ERROR_LINE.match(line))]
        memory = [line for line in self._log.tail(60) if tells_of_memory(line)]
        return _exit_reason(self._process.poll(), "".join(f"; {line}" for line in (memory or errors)[-2:]))

    def _spawn(self) -> "subprocess.Popen[bytes]":
        order = asdict(self.spec) | {"key": self.key, "slot_dir": str(self._slot_dir)}
        order["threads"] = self.spec.threads or usable_cores()
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**PATIENCE, **os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"},
                **options,
            )
        except OSError as exc:
            raise EngineStartFailed(reason=str(exc), command=self.command(), log="") from exc
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
        return process

    def _describe(self) -> registry.WorkerRecord:
        created_at = 0.0
        with contextlib.suppress(psutil.Error):
            created_at = psutil.Process(self.pid).create_time()
        return registry.WorkerRecord(
            self.pid,
            created_at,
            os.getpid(),
            self.spec.model_name,
            self._slot_dir.name,
            registry.start_mark(self.pid),
        )

    def _read_ready(self) -> None:
        for line in self._said:
            with contextlib.suppress(ValueError, psutil.Error):
                report = json.loads(line)
                if isinstance(report, dict) and "address" in report:
                    self.ready = WorkerReady(**report)
                    if self.ready.server_pid is not None:
                        self._server = psutil.Process(self.ready.server_pid)
                    return


class LogTail:
    """The first and the last lines of a log in memory, and its first megabytes in a private file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._first: list[str] = []
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self._room = LOG_BYTES

    def name_file(self, pid: int) -> None:
        """Open `worker-<pid>.log`, mode 0600, and remove all but the newest few."""
        old = sorted(self._folder.glob("worker-*.log"), key=_modified)
        for path in old[: max(0, len(old) - KEPT_LOGS + 1)]:
            path.unlink(missing_ok=True)
        path = self._folder / f"worker-{pid}.log"
        path.unlink(missing_ok=True)
        with self._lock, contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def add(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            if len(self._first) < START_LINES:
                self._first.append(line)
            if self._file is not None and self._room > 0:
                self._room -= len(line) + 1
                with contextlib.suppress(OSError):
                    self._file.write(line + "\n")

    def first(self) -> list[str]:
        with self._lock:
            return list(self._first)

    def tail(self, lines: int) -> list[str]:
        with self._lock:
            return list(self._lines)[-lines:]

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def oom_kills() -> int | None:
    """Return how many processes the kernel has ended for want of memory, None where it won't say."""
    for path, name in (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/proc/vmstat", "oom_kill")):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                words = line.split()
                if len(words) == 2 and words[0] == name:
                    return int(words[1])
    return None


def _exit_reason(code: int | None, log: str) -> Reason:
    """Return how a process ended, followed by what its log says of it."""
    if code is None or code >= 0:
        return Reason("errors.reason.exit_code", code=code, log=log)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Reason("errors.reason.ended_by", signal=name, log=log)


def _private(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _file_size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _pump(stream: IO[bytes] | None, take: Any) -> threading.Thread:
    def run() -> None:
        if stream is not None:
            with stream:
                for line in stream:
                    take(line.decode("utf-8", "replace").rstrip())

    thread = threading.Thread(target=run, name="worker-log", daemon=True)
    thread.start()
    return thread
