"""The database file: opening it safely, handing out connections, saying what went wrong.

One SQLite file in WAL mode, readable by its owner only. A connection is used by one thread at a
time; writers of one process take turns, writers of several processes wait for each other for
`busy_timeout_s`. A file that cannot be read is never written to: a copy is kept and the start is
refused. Knows no table; those are in migrations.py and repository.py.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twokeys.errors import (
    BadInput,
    Reason,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreGone,
    StoreLocked,
    StoreReadOnly,
    store_error,
)
from twokeys.files import size_of
from twokeys.store.locks import FileLock
from twokeys.store.migrations import STEPS, check_current, migrate

log = logging.getLogger(__name__)

HEADER = b"SQLite format 3\x00"
SMALL_FILE_BYTES = 32 * 2**20
"""Up to this size the whole file is checked at open; beyond it only as far as the time allows."""
LARGE_CHECK_S = 0.3
SMALL_CHECK_S = 5.0
IDLE_CONNECTIONS = 8
PRAGMAS = (
    "foreign_keys=ON",
    "synchronous=NORMAL",
    "secure_delete=ON",
    "temp_store=MEMORY",
    "cache_size=-8000",
    f"journal_size_limit={SMALL_FILE_BYTES}",
)

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# A write that fails for a quota or a size limit is reported as an I/O error, not as "full".
_NO_ROOM = (
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to read a database without writing. reads_log: what lies in the -wal file is seen."""

    options: str
    pragmas: tuple[str, ...] = ("temp_store=MEMORY",)
    reads_log: bool = True


_READING = (
    _Way("mode=ro"),
    # A folder that takes no -shm file, and no log that would have to be read with its help.
    _Way("mode=ro&immutable=1", reads_log=False),
    # With a log and no room for the -shm file: SQLite keeps in memory what would be in it, and takes no
    # locks. No app runs there, else the file would be there.
    _Way("mode=ro&vfs=unix-none", ("temp_store=MEMORY", "locking_mode=EXCLUSIVE")),
)


@dataclass(slots=True)
class _Use:
    """The connection a thread works with at the moment."""

    connection: sqlite3.Connection
    writing: bool


class Database:
    """An open database file.

    path: the file; created when missing. backups: folder for copies made before a migration and
    of files that could not be read. busy_timeout_s: how long to wait for another writer.
    max_pages: an upper limit of the file in pages of 4096 bytes, None for none. read_only: change
    nothing on the disk, whatever happens: for a full or read-only one.

    Raises StoreCorrupt, StoreNewer, StoreLocked, StoreFull, StoreReadOnly or StoreError when it
    cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        backups: Path | None = None,
        busy_timeout_s: float = 5.0,
        max_pages: int | None = None,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.backups = backups or path.parent / "backups"
        self._busy_timeout_s = busy_timeout_s
        self._max_pages = max_pages
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._local = threading.local()
        self._closed = False
        self._corrupt_copy: Path | None = None
        self._identity: tuple[int, int] | None = None
        self._way = _READING[0]
        if read_only:
            self._open_for_reading()
        else:
            self._open()

    # -- use ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one unchanging state of the database until the block ends."""
        use: _Use | None = getattr(self._local, "use", None)
        if use is not None:
            yield use.connection
            return
        with self._borrowed(writing=False) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection in a transaction: all of the block is stored, or nothing.

        Blocks may be nested in one thread; the outermost commits. Not to be used inside `read`.
        """
        use: _Use | None = getattr(self._local, "use", None)
        if use is not None:
            if not use.writing:
                raise RuntimeError("a write inside a read block would not see its own snapshot")
            yield use.connection
            return
        with self._alone() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def check(self) -> list[str]:
        """Check the whole file, however long it takes; return the faults found, none when sound."""
        with self._borrowed(writing=False) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        return [] if problems == ["ok"] else problems

    def rewrite(self) -> None:
        """Write the whole file anew, so that nothing of deleted rows is left in it.

        Takes a second for about 200 MB, during which others wait to write, and as much room again.
        """
        with self._alone() as connection:
            if self.path.stat().st_size > SMALL_FILE_BYTES:
                connection.execute("PRAGMA temp_store=FILE")
            try:
                connection.execute("VACUUM")
            finally:
                connection.execute("PRAGMA temp_store=MEMORY")

    def empty_log(self) -> bool:
        """Move all of the log into the file and cut it to nothing.

        Returns False, having done what was possible, while somebody still reads from the log.
        """
        with self._alone() as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Close every idle connection; one in use closes when its block ends. Idempotent."""
        with self._idle_lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- connections -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """Give a connection while no other thread writes. Raises StoreGone when the file is not there."""
        if self.read_only:
            raise StoreReadOnly(path=str(self.path))
        if self._identity != _identity(self.path):
            raise StoreGone(path=str(self.path))
        if not self._write_lock.acquire(timeout=6 * self._busy_timeout_s):
            raise StoreLocked(path=str(self.path))
        try:
            with self._borrowed(writing=True) as connection:
                yield connection
        finally:
            self._write_lock.release()

    @contextlib.contextmanager
    def _borrowed(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = None
        healthy = True
        try:
            connection = self._take()
            self._local.use = _Use(connection, writing)
            yield connection
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as exc:
            error = self._translated(exc)
            healthy = error is None or isinstance(error, StoreLocked)
            if error is None:
                raise
            raise error from exc
        except UnicodeEncodeError as exc:
            raise BadInput(reason=Reason("errors.reason.not_unicode")) from exc
        finally:
            self._local.use = None
            if connection is not None:
                self._give_back(connection, healthy)

    def _take(self) -> sqlite3.Connection:
        with self._idle_lock:
            if self._closed:
                raise StoreError(path=str(self.path), reason=Reason("errors.reason.store_closed"))
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection, healthy: bool) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                healthy = False
        with self._idle_lock:
            if healthy and not self._closed and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{self._way.options}" if self.read_only else self.path,
            uri=self.read_only,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        for pragma in self._way.pragmas if self.read_only else PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count={self._max_pages}")
        return connection

    # -- opening -----------------------------------------------------------------------------

    def _open(self) -> None:
        lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not lock.acquire(self._busy_timeout_s):
                raise StoreLocked(path=str(self.path))
            try:
                self._prepare_file()
                self._identity = _identity(self.path)
                self._check_and_migrate()
            finally:
                lock.release()
        except OSError as exc:
            raise store_error(exc, self.path) from exc

    def _open_for_reading(self) -> None:
        """Find the way that works here; see _READING."""
        if not self.path.is_file():
            raise StoreError(path=str(self.path), reason=Reason("errors.reason.no_database"))
        wal = Path(f"{self.path}-wal")
        has_log = size_of(wal) > 0
        last: sqlite3.Error | None = None
        for way in _READING:
            if has_log and not way.reads_log:
                continue
            self._way = way
            try:
                connection = self._connect()
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.Error as exc:
                last = exc
                continue
            self._idle.append(connection)
            check_current(connection, STEPS, path=self.path)
            return
        raise StoreError(path=str(self.path), reason=str(last)) from last

    def _prepare_file(self) -> None:
        """Create the file for its owner only (SQLite gives -wal and -shm the same mode)."""
        wal = Path(f"{self.path}-wal")
        orphaned = size_of(wal) > 0
        if self.path.exists():
            if orphaned and self.path.stat().st_size == 0:
                raise self._corrupt("the file is empty, but changes of a lost file lie beside it")
            if os.name == "posix":
                self.path.chmod(0o600)
        else:
            if orphaned:
                self._keep_copy("leftover")
                wal.unlink()
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def _check_and_migrate(self) -> None:
        size = self.path.stat().st_size
        if size:
            with self.path.open("rb") as file:
                if file.read(len(HEADER)) != HEADER:
                    raise self._corrupt("it does not begin like a database")
        with self._borrowed(writing=True) as connection:
            if size:
                self._quick_check(connection, size)
            connection.execute("PRAGMA journal_mode=WAL")
            migrate(connection, STEPS, path=self.path, backups=self.backups)

    def _quick_check(self, connection: sqlite3.Connection, size: int) -> None:
        deadline = time.monotonic() + (SMALL_CHECK_S if size <= SMALL_FILE_BYTES else LARGE_CHECK_S)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        try:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            verdict = "ok"
        finally:
            connection.set_progress_handler(None, 0)
        if verdict != "ok":
            raise self._corrupt(verdict)

    # -- errors ------------------------------------------------------------------------------

    def _translated(self, exc: sqlite3.Error) -> StoreError | None:
        """Return our error for SQLite's, or None when it is a fault of the calling code."""
        extended = getattr(exc, "sqlite_errorcode", None)
        if extended is None or isinstance(exc, sqlite3.IntegrityError):
            return None
        primary = extended & 0xFF
        if primary in _BUSY:
            return StoreLocked(path=str(self.path))
        if primary == sqlite3.SQLITE_READONLY:
            return StoreReadOnly(path=str(self.path))
        if primary in _CORRUPT:
            return self._corrupt(str(exc))
        if primary == sqlite3.SQLITE_FULL or extended in _NO_ROOM:
            return StoreFull(path=str(self.path))
        return StoreError(path=str(self.path), reason=str(exc))

    def _corrupt(self, reason: str) -> StoreCorrupt:
        if self._corrupt_copy is None:
            self._corrupt_copy = self._keep_copy("unreadable")
        return StoreCorrupt(path=str(self.path), backup=str(self._corrupt_copy or "–"), reason=reason)

    def _keep_copy(self, why: str) -> Path | None:
        """Copy the file and its -wal as they are; one copy per content. None when there is no room."""
        try:
            self.backups.mkdir(parents=True, exist_ok=True, mode=0o700)
            sources = [p for p in (self.path, Path(f"{self.path}-wal")) if p.exists()]
            target = self.backups / f"{self.path.stem}-{why}-{_fingerprint(sources)}.db"
            for source in sources:
                suffix = source.name.removeprefix(self.path.name)
                copy = Path(f"{target}{suffix}")
                if not copy.exists():
                    shutil.copyfile(source, copy)
                    copy.chmod(0o600)
        except OSError as exc:
            log.warning("no copy of %s could be kept: %s", self.path, exc)
            return None
        return target


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another that took its place, None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()[:12]
