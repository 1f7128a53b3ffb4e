"""The bin: what was deleted, for how long it is kept, and how it is removed for good.

Deleting moves a thing here, where `Repository.undo` still finds it. When its time is over, its rows
go, its words in the index and the settings of its own; what it held goes from the copies in the
backups folder too, and so do attached files that nothing else uses. Then the file is written anew and
its log emptied, because SQLite leaves pieces of freed rows in half-filled pages, whatever it is told.

Not covered: files that a person exported, copies of a database that could not be read, and what a
disk or a snapshot keeps of overwritten files.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twokeys.errors import BadParameter, NotFound, Reason, StoreError, StoreLocked
from twokeys.store import search
from twokeys.store.base import Clock, Stored
from twokeys.store.conversations import unindex_title
from twokeys.store.db import Database
from twokeys.store.documents import HIDDEN_CONVERSATION, hidden_conversation
from twokeys.store.files import Files
from twokeys.store.locks import AppLock
from twokeys.store.messages import unindex_message
from twokeys.store.shelf import SettingsShelf

log = logging.getLogger(__name__)

DAYS = (0, 1, 7, 30)
"""What a person can choose; 0: as soon as it can no longer be undone on the screen."""
DEFAULT_DAYS = 30
UNDO_S = 120.0
"""Nothing is removed by itself before that: the screen offers to take it back for so long."""
ORPHANED_S = 3600.0
"""A hidden conversation that nothing refers to is left alone for so long: it may be in the making."""

_DAYS_SETTING = "store.bin_days"
_DUE_SETTING = "store.rewrite_due"
_INDEXES: tuple[search.Table, ...] = ("message_words", "title_words")


@dataclass(frozen=True, slots=True)
class BinContents:
    """How much lies in the bin. messages: deleted by themselves. oldest_at: Unix seconds, None when empty."""

    conversations: int
    comparisons: int
    texts: int
    studies: int
    messages: int
    oldest_at: float | None

    @property
    def is_empty(self) -> bool:
        return self.oldest_at is None


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed for good. complete: nothing of it is left in the files either; else it is
    tried again at the next time."""

    conversations: int = 0
    documents: int = 0
    messages: int = 0
    complete: bool = True

    def __bool__(self) -> bool:
        return bool(self.conversations or self.documents or self.messages)


@dataclass(slots=True)
class _Chosen:
    """The ids of what is to be removed. messages: those deleted by themselves."""

    conversations: set[str]
    documents: set[str]
    messages: set[str]

    @property
    def ids(self) -> set[str]:
        return self.conversations | self.documents | self.messages


@dataclass(frozen=True, slots=True)
class _Removal:
    removed: Removed
    gone: _Chosen


class Bin(Stored):
    """The bin of one database."""

    def __init__(self, db: Database, app: AppLock, clock: Clock, files: Files) -> None:
        super().__init__(db, app, clock)
        self._settings = SettingsShelf(db, app, clock)
        self._files = files

    # -- what is kept, and for how long ----------------------------------------------------------

    @property
    def days(self) -> int:
        """For how many days what was deleted is kept: one of DAYS."""
        chosen = self._settings.get_setting(_DAYS_SETTING)
        return chosen if chosen in DAYS else DEFAULT_DAYS

    @property
    def choices(self) -> tuple[int, ...]:
        """What `keep_days` takes."""
        return DAYS

    def keep_days(self, days: int) -> None:
        """Choose for how long. Raises BadParameter."""
        if days not in DAYS:
            allowed = Reason("errors.allowed.one_of", names=", ".join(map(str, DAYS)))
            raise BadParameter(field="days", value=days, allowed=allowed)
        self._settings.set_setting(_DAYS_SETTING, days)

    def contents(self) -> BinContents:
        """Return what lies in the bin."""
        with self._db.read() as db:
            conversations, oldest_chat = db.execute(
                "SELECT count(*), min(deleted_at) FROM conversations "
                "WHERE deleted_at IS NOT NULL AND kind = 'chat'"
            ).fetchone()
            messages, oldest_message = db.execute(
                "SELECT count(*), min(m.deleted_at) FROM messages m JOIN conversations c "
                "ON c.id = m.conversation_id WHERE m.deleted_at IS NOT NULL AND c.deleted_at IS NULL"
            ).fetchone()
            kinds = {
                row["kind"]: (row["count"], row["oldest"])
                for row in db.execute(
                    "SELECT kind, count(*) AS count, min(deleted_at) AS oldest FROM documents "
                    "WHERE deleted_at IS NOT NULL GROUP BY kind"
                )
            }
        oldest = [at for at in (oldest_chat, oldest_message, *(at for _, at in kinds.values())) if at]

        def count(*names: str) -> int:
            return sum(kinds[name][0] for name in names if name in kinds)

        return BinContents(
            conversations,
            count("comparison"),
            count("writing"),
            count("study", "tuning"),
            messages,
            min(oldest, default=None),
        )

    # -- the end ---------------------------------------------------------------------------------

    def purge_due(self) -> Removed:
        """Remove for good what has been here for the chosen time; finish what an earlier purge began."""
        return self.purge(max(self.days * 86400.0, UNDO_S))

    def purge(self, older_than_s: float = 0.0) -> Removed:
        """Remove for good what was deleted longer ago than that, 0 for everything in the bin.

        What is being written at this moment is left for the next time.
        """
        limit = self._clock() - older_than_s
        with self._db.read() as db:
            nothing = not _deleted_before(db, limit) and not _Due.read(self._settings)
        if nothing:
            return self._finish(Removed())
        with self._db.write() as db:
            removal = self._remove(db, _chosen(db, limit))
            db.execute("DELETE FROM undo WHERE created_at <= ?", (limit,))
        return self._finish(removal.removed)

    def remove(self, token: str) -> Removed:
        """Remove for good, at once, what one deletion moved here; token: what that deletion returned.

        Raises NotFound for an unknown token; StoreLocked when a part of it is being written.
        """
        with self._db.write() as db:
            recalled = self._recall(token)
            if recalled is None:
                raise NotFound(kind="undo", name=token)
            kind, data = recalled
            chosen = _Chosen(set(), set(), set())
            getattr(chosen, f"{kind}s").add(data["id"])
            chosen.conversations.update(data.get("conversations", ()))
            wanted = chosen.ids
            if kind == "message":
                chosen.messages = _with_those_below(db, chosen.messages)
            removal = self._remove(db, chosen)
            if not wanted <= removal.gone.ids:
                raise StoreLocked(path=str(self._db.path))
        return self._finish(removal.removed)

    def _remove(self, db: sqlite3.Connection, chosen: _Chosen) -> _Removal:
        """Delete the rows of what is not being written, and note that the files are still to follow."""
        gone = self._not_being_written(db, chosen)
        for conversation_id in gone.conversations:
            for row in db.execute("SELECT id FROM messages WHERE conversation_id = ?", (conversation_id,)):
                unindex_message(db, row["id"])
            unindex_title(db, conversation_id)
        for message_id in gone.messages:
            unindex_message(db, message_id)
        removed = Removed(
            messages=_delete(db, "messages", gone.messages),
            conversations=_delete(db, "conversations", gone.conversations),
            documents=_delete(db, "documents", gone.documents),
        )
        _delete_settings_of(db, gone.ids)
        if removed:
            for table in _INDEXES:
                # Until then the index holds the words, marked as deleted.
                db.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
            due = _Due.read(self._settings)
            _Due(file=True, log=True, ids=due.ids | gone.ids).write(self._settings)
        return _Removal(removed, gone)

    def _not_being_written(self, db: sqlite3.Connection, chosen: _Chosen) -> _Chosen:
        """Return what can be removed now, documents with their hidden conversations."""
        written = [
            row
            for row in db.execute("SELECT id, conversation_id, owner FROM messages WHERE owner IS NOT NULL")
            if self._app.is_alive(row["owner"])
        ]
        busy = {row["conversation_id"] for row in written}
        gone = _Chosen(chosen.conversations - busy, set(), chosen.messages - {row["id"] for row in written})
        for document_id in chosen.documents:
            hidden = hidden_conversation(db, document_id)
            if hidden not in busy:
                gone.documents.add(document_id)
                gone.conversations |= {hidden} if hidden else set()
        return gone

    def _finish(self, removed: Removed) -> Removed:
        """Take what was removed out of the files: the copies, the database, its log."""
        due, swept = _Due.read(self._settings), False
        try:
            if due.ids:
                for copy in sorted(self._db.backups.glob("*-before-*.db")):
                    _scrub_copy(copy, due.ids)
                due = due.done(self._settings, ids=frozenset())
            if due.file:
                self._db.rewrite()
                due = due.done(self._settings, file=False)
            if due.log and self._db.empty_log():
                due = due.done(self._settings, log=False)
            self._files.sweep()
            swept = True
        except (StoreError, sqlite3.Error, OSError) as error:
            log.warning("what was deleted leaves the files at the next time: %s", error)
        return replace(removed, complete=swept and not due)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is still to be done for what was removed, over a restart too.

    file: write the database anew. log: empty its log. ids: to be taken out of the copies.
    """

    file: bool = False
    log: bool = False
    ids: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.file or self.log or bool(self.ids)

    @classmethod
    def read(cls, settings: SettingsShelf) -> "_Due":
        stored = settings.get_setting(_DUE_SETTING)
        if not isinstance(stored, dict):
            return cls()
        return cls(bool(stored.get("file")), bool(stored.get("log")), frozenset(stored.get("ids", ())))

    def write(self, settings: SettingsShelf) -> None:
        values = {"file": self.file, "log": self.log, "ids": sorted(self.ids)}
        settings.set_setting(_DUE_SETTING, values if self else None)

    def done(self, settings: SettingsShelf, **changes: Any) -> "_Due":
        """Note what was done; return what is left."""
        left = replace(self, **changes)
        left.write(settings)
        return left


def _delete(db: sqlite3.Connection, table: str, ids: Iterable[str]) -> int:
    return sum(db.execute(f"DELETE FROM {table} WHERE id = ?", (one_id,)).rowcount for one_id in ids)


def _delete_settings_of(db: sqlite3.Connection, ids: Iterable[str]) -> int:
    """Delete what is kept under a key that ends in an id: it belongs to what has that id (see Shelf)."""
    statement = "DELETE FROM app_settings WHERE substr(key, -length(?1) - 1) = '.' || ?1"
    return sum(db.execute(statement, (owner_id,)).rowcount for owner_id in ids)


def _deleted_before(db: sqlite3.Connection, limit: float) -> bool:
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE deleted_at <= ? LIMIT 1", (limit,)).fetchone()
        for table in ("conversations", "documents", "messages")
    )


def _chosen(db: sqlite3.Connection, limit: float) -> _Chosen:
    """Return what was deleted before a moment, hidden conversations without a document among it."""

    def ids(statement: str, *values: float) -> set[str]:
        return {row[0] for row in db.execute(statement, values)}

    chosen = _Chosen(
        ids("SELECT id FROM conversations WHERE deleted_at <= ?", limit),
        ids("SELECT id FROM documents WHERE deleted_at <= ?", limit),
        _with_those_below(db, ids("SELECT id FROM messages WHERE deleted_at <= ?", limit)),
    )
    referred = ids(f"SELECT {HIDDEN_CONVERSATION} FROM documents")
    hidden = ids("SELECT id FROM conversations WHERE kind != 'chat' AND updated_at <= ?", limit - ORPHANED_S)
    chosen.conversations |= hidden - referred
    return chosen


def _with_those_below(db: sqlite3.Connection, message_ids: Iterable[str]) -> set[str]:
    """Return the messages and all that follow from them, those that came after the deletion too."""
    following: set[str] = set()
    waiting = list(message_ids)
    while waiting:
        message_id = waiting.pop()
        if message_id not in following:
            following.add(message_id)
            below = db.execute("SELECT id FROM messages WHERE parent_id = ?", (message_id,))
            waiting.extend(row[0] for row in below)
    return following


def _scrub_copy(path: Path, ids: Iterable[str]) -> None:
    """Take what was removed out of a copy, whose tables may be older. One that is no database goes."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA foreign_keys=ON")
            tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            db.execute("BEGIN IMMEDIATE")
            holding = tables.intersection(("messages", "conversations", "documents"))
            count = sum(_delete(db, table, ids) for table in holding)
            if "app_settings" in tables:
                count += _delete_settings_of(db, ids)
            if count:
                for table in tables.intersection(_INDEXES):
                    db.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
                if "app_settings" in tables:
                    # Whoever goes back to this copy has its index built anew.
                    db.execute("DELETE FROM app_settings WHERE key = ?", (search.VERSION_SETTING,))
            db.execute("COMMIT")
            if count:
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (
            sqlite3.SQLITE_NOTADB,
            sqlite3.SQLITE_CORRUPT,
        ):
            raise
        log.warning("a copy that cannot be read is removed: %s: %s", path, error)
        path.unlink(missing_ok=True)
