"""The keys of the API: made, listed, taken back. A key is shown once and kept as its digest.

A key holds 256 random bits, so its SHA-256 needs no salt and no slow hash. All of this is one file
of the data folder that only its owner can read. How often a key was used is written down at most
every WRITE_EVERY_S seconds and at the end.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from twokeys.errors import BadFile, BadInput, NotFound, Reason
from twokeys.files import write_whole

KEYS_FILE = "api_keys.json"
"""In the data folder."""

PREFIX = "tk-"
MAX_NAME_CHARS = 60
WRITE_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. Times in Unix seconds; last_used_at None: never."""

    name: str
    digest: str
    created_at: float
    last_used_at: float | None = None
    requests: int = 0

    def shown(self) -> dict[str, Any]:
        """Return what may be shown of it."""
        row = asdict(self)
        del row["digest"]
        return row


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `key` is never to be had again."""

    name: str
    key: str


class ApiKeys:
    """The keys in one file. Thread-safe; another process' changes are seen at the next request."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, ApiKey] = {}
        self._read_mtime_ns = -1
        self._written_at = 0.0

    def add(self, name: str) -> NewKey:
        """Make a key. Raises BadInput for a bad name or one that is taken, BadFile."""
        name = name.strip()
        if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
            raise BadInput(reason=Reason("api.key.bad_name", most=MAX_NAME_CHARS))
        with self._lock:
            self._read()
            if name in self._keys:
                raise BadInput(reason=Reason("api.key.taken", name=name))
            key = PREFIX + secrets.token_urlsafe(32)
            self._keys[name] = ApiKey(name, _digest(key), self._clock())
            self._write()
        return NewKey(name, key)

    def list(self) -> list[ApiKey]:
        """Return the keys, the oldest first."""
        with self._lock:
            self._read()
            return sorted(self._keys.values(), key=lambda key: key.created_at)

    def remove(self, name: str) -> None:
        """Take a key back; requests with it are refused from now on. Raises NotFound."""
        with self._lock:
            self._read()
            if name not in self._keys:
                raise NotFound(kind="key", name=name)
            del self._keys[name]
            self._write()

    def check(self, given: str) -> ApiKey | None:
        """Return the key that was given and count its use; None for a wrong one. Constant in time."""
        digest = _digest(given)
        with self._lock:
            self._read()
            matching = None
            for key in self._keys.values():
                if hmac.compare_digest(key.digest, digest):
                    matching = key
            if matching is None:
                return None
            used = replace(matching, last_used_at=self._clock(), requests=matching.requests + 1)
            self._keys[used.name] = used
            if self._clock() - self._written_at > WRITE_EVERY_S:
                self._write()
            return used

    def close(self) -> None:
        """Write down how often the keys were used."""
        with self._lock:
            if self._keys:
                self._write()

    def _read(self) -> None:
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            if self._read_mtime_ns != -1:
                self._keys, self._read_mtime_ns = {}, -1
            return
        if changed == self._read_mtime_ns:
            return
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            self._keys = {row["name"]: ApiKey(**row) for row in rows}
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise BadFile(name=self._path.name, reason=Reason("api.key.unreadable")) from exc
        self._read_mtime_ns = changed

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(key) for key in self._keys.values()]
        write_whole(self._path, json.dumps(rows, ensure_ascii=False, indent=1).encode())
        self._path.chmod(0o600)
        self._read_mtime_ns = self._path.stat().st_mtime_ns
        self._written_at = self._clock()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
