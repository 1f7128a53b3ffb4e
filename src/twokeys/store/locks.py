"""Locks between processes: a file that is held as long as its process lives.

The operating system lets go of the lock when the process ends, however it ends; so a lock that can
be taken means that its owner is dead. Works between processes of one machine only.
"""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from twokeys.ids import new_id

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock on one file, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock; return False when another holder has it."""
        while self._fd is None:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(fd):
                os.close(fd)
                return False
            # The file may have been swept away between opening and locking it.
            if _same_file(fd, self.path):
                self._fd = fd
            else:
                os.close(fd)
        return True

    def acquire(self, timeout_s: float) -> bool:
        """Take the lock, waiting for at most `timeout_s` seconds; return whether it was taken."""
        deadline = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def held_elsewhere(self) -> bool:
        """Return whether another holder has the lock now; leaves no file behind."""
        if self._fd is not None or not self.path.exists():
            return False
        if not self.try_acquire():
            return True
        self.release(remove=True)
        return False

    def is_in_place(self) -> bool:
        """Return whether the lock is held and its file is still the one at its path."""
        return self._fd is not None and _same_file(self._fd, self.path)

    def release(self, *, remove: bool = False) -> None:
        """Let go of the lock; `remove` deletes the file too."""
        if self._fd is None:
            return
        if remove and sys.platform != "win32":
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None
        if remove and sys.platform == "win32":
            self.path.unlink(missing_ok=True)


class AppLock:
    """The sign of life of one running app: `run/app-<id>.lock`, held until `release` or death.

    reader: an app that writes nothing gives none.
    """

    def __init__(self, run_dir: Path, *, reader: bool = False) -> None:
        self.id = new_id()
        self._run_dir = run_dir
        self._lock = FileLock(_app_file(run_dir, self.id))
        # Another app's sweep may hold the file for a moment: it takes it for a dead one's.
        while not reader and not self._lock.acquire(1.0):
            self.id = new_id()
            self._lock = FileLock(_app_file(run_dir, self.id))

    def hold(self) -> None:
        """Give the sign of life again when somebody removed the file or its folder meanwhile."""
        if self._lock.is_in_place():
            return
        with contextlib.suppress(OSError):
            self._run_dir.mkdir(mode=0o700, exist_ok=True)
            renewed = FileLock(self._lock.path)
            if renewed.acquire(1.0):
                self._lock.release()
                self._lock = renewed

    def is_alive(self, owner: str) -> bool:
        """Return whether the app of that id runs, this one included; sweeps a dead one's file."""
        if owner == self.id:
            return True
        return FileLock(_app_file(self._run_dir, owner)).held_elsewhere()

    def sweep(self) -> None:
        """Remove the files of apps that ended without doing so."""
        for path in self._run_dir.glob("app-*.lock"):
            self.is_alive(path.name.removeprefix("app-").removesuffix(".lock"))

    def release(self) -> None:
        self._lock.release(remove=True)


def sweep(run_dir: Path, kinds: Sequence[str]) -> None:
    """Remove the locks that killed processes left of these kinds: "study" of "study-ID.lock"."""
    for kind in kinds:
        for path in run_dir.glob(f"{kind}-*.lock"):
            FileLock(path).held_elsewhere()


def _app_file(run_dir: Path, owner: str) -> Path:
    return run_dir / f"app-{owner}.lock"


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
