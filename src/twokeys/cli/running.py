"""Which app of a data folder is up: a lock that lives as long as its process, and a note of its address."""

import json
from dataclasses import dataclass
from pathlib import Path

from twokeys.files import write_whole
from twokeys.store.locks import FileLock


@dataclass(frozen=True, slots=True)
class RunningApp:
    """An app that is up."""

    url: str


class Presence:
    """The sign that an app of this data folder is up; the first one of several gives it."""

    def __init__(self, run_dir: Path) -> None:
        self._lock = FileLock(run_dir / "ui.lock")
        self._note = run_dir / "ui.json"

    def other(self) -> RunningApp | None:
        """Return the app that is up and has said where, if there is one."""
        if not self._lock.held_elsewhere():
            return None
        try:
            return RunningApp(str(json.loads(self._note.read_text(encoding="utf-8"))["url"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def give(self, url: str) -> None:
        """Say that this app is up, unless another one has."""
        if self._lock.try_acquire():
            write_whole(self._note, json.dumps({"url": url}).encode())

    def end(self) -> None:
        if self._lock.is_in_place():
            self._note.unlink(missing_ok=True)
        self._lock.release(remove=True)
