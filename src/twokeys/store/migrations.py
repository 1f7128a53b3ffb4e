"""How the tables came to be: one decorated function per step, recorded in the database.

A step that was shipped is never edited; a change of the tables is a new step at the end. An
existing file is copied to the backups folder before any step runs on it. The record has the form
of the library that ran the steps of the first versions, whose files go on being opened.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from twokeys.errors import StoreNewer, StoreReadOnly

Step = Callable[[sqlite3.Connection], None]

SET = "twokeys"
STEPS: list[Step] = []
_RECORD = (
    """
    CREATE TABLE IF NOT EXISTS "_sqlite_migrations" (
       "id" INTEGER PRIMARY KEY,
       "migration_set" TEXT,
       "name" TEXT,
       "applied_at" TEXT
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS "idx__sqlite_migrations_migration_set_name"
        ON "_sqlite_migrations" ("migration_set", "name")
    """,
)


def step(function: Step) -> Step:
    """Make a function the next step; what is recorded is its name."""
    STEPS.append(function)
    return function


def migrate(connection: sqlite3.Connection, steps: Sequence[Step], *, path: Path, backups: Path) -> list[str]:
    """Bring the tables up to date; return the names of the steps that ran.

    Raises StoreNewer when the file knows steps that this program does not.
    """
    applied = _applied(connection)
    pending = _pending(applied, steps, path)
    if not pending:
        return []
    if applied:
        keep_backup(connection, backups / f"{path.stem}-before-{pending[0]}-{int(time.time())}.db")
    run(connection, steps)
    return pending


def check_current(connection: sqlite3.Connection, steps: Sequence[Step], *, path: Path) -> None:
    """Raise StoreNewer for a newer file, StoreReadOnly for one that would have to be brought up to date."""
    if _pending(_applied(connection), steps, path):
        raise StoreReadOnly(path=str(path))


def _pending(applied: Sequence[str], steps: Sequence[Step], path: Path) -> list[str]:
    known = [migration.__name__ for migration in steps]
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise StoreNewer(path=str(path), found=unknown[-1], known=max(known))
    return [name for name in known if name not in applied]


def run(connection: sqlite3.Connection, steps: Sequence[Step], *, until: str | None = None) -> None:
    """Run the steps that are not recorded yet, each in a transaction with its record.

    connection: in autocommit mode. until: the name of a step to stop before.
    """
    with _transaction(connection):
        for statement in _RECORD:
            connection.execute(statement)
    applied = _applied(connection)
    for migration in steps:
        name = migration.__name__
        if name == until:
            return
        if name not in applied:
            with _transaction(connection):
                migration(connection)
                connection.execute(
                    "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
                    (SET, name, str(datetime.now(UTC))),
                )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _applied(connection: sqlite3.Connection) -> list[str]:
    """Return the recorded steps in the order they ran; none of a new file."""
    table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if connection.execute(table).fetchone() is None:
        return []
    rows = connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY rowid", (SET,)
    )
    return [row[0] for row in rows]


def keep_backup(connection: sqlite3.Connection, target: Path) -> None:
    """Write a consistent copy of the open database, readable by its owner only."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(target, os.O_RDWR | os.O_CREAT, 0o600))
    with contextlib.closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


@step
def m001_chats(db: sqlite3.Connection) -> None:
    _script(
        db,
        """
        CREATE TABLE conversations (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            title_by TEXT NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            pinned INTEGER NOT NULL DEFAULT 0,
            settings TEXT NOT NULL DEFAULT '{}',
            head_id TEXT,
            state_reset_at TEXT,
            history_after_reset INTEGER NOT NULL DEFAULT 0,
            deleted_at REAL
        );
        CREATE INDEX conversations_shown ON conversations (deleted_at, pinned, updated_at);
        CREATE TABLE messages (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            parent_id TEXT,
            role TEXT NOT NULL,
            content TEXT NOT NULL,
            created_at REAL NOT NULL,
            state TEXT NOT NULL,
            finish_reason TEXT,
            provenance TEXT NOT NULL DEFAULT '{}',
            token_ids BLOB,
            excluded INTEGER NOT NULL DEFAULT 0,
            error TEXT,
            owner TEXT,
            deleted_by TEXT,
            deleted_at REAL
        );
        CREATE INDEX messages_tree ON messages (conversation_id, parent_id, role);
        CREATE INDEX messages_parent ON messages (parent_id);
        CREATE INDEX messages_owned ON messages (owner) WHERE owner IS NOT NULL;
        CREATE INDEX messages_deleted ON messages (deleted_at) WHERE deleted_at IS NOT NULL;
        CREATE TABLE undo (
            token TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            data TEXT NOT NULL,
            created_at REAL NOT NULL
        );
        """,
    )


@step
def m002_answers_in_the_making(db: sqlite3.Connection) -> None:
    _script(
        db,
        """
        CREATE TABLE journal (
            message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            text TEXT NOT NULL,
            token_ids BLOB NOT NULL,
            PRIMARY KEY (message_id, seq)
        ) WITHOUT ROWID;
        CREATE TABLE token_probs (
            message_id TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
            data BLOB NOT NULL
        );
        CREATE TABLE message_events (
            n INTEGER PRIMARY KEY,
            message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            level TEXT NOT NULL,
            at_token INTEGER NOT NULL,
            at_char INTEGER NOT NULL,
            data TEXT NOT NULL
        );
        CREATE INDEX message_events_of ON message_events (message_id);
        """,
    )


@step
def m003_settings_presets_speeds(db: sqlite3.Connection) -> None:
    _script(
        db,
        """
        CREATE TABLE app_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE presets (
            n INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            data TEXT NOT NULL
        );
        CREATE TABLE engine_speeds (
            n INTEGER PRIMARY KEY,
            model TEXT NOT NULL,
            tok_per_s REAL NOT NULL,
            prompt_tok_per_s REAL,
            created_at REAL NOT NULL
        );
        CREATE INDEX engine_speeds_of ON engine_speeds (model, n);
        """,
    )


@step
def m004_documents(db: sqlite3.Connection) -> None:
    _script(
        db,
        """
        CREATE TABLE documents (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            title TEXT NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            data TEXT NOT NULL,
            deleted_at REAL
        );
        CREATE INDEX documents_of_kind ON documents (kind, deleted_at, updated_at);
        CREATE TABLE rows (
            n INTEGER PRIMARY KEY,
            document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
            key TEXT NOT NULL,
            data TEXT NOT NULL,
            created_at REAL NOT NULL,
            UNIQUE (document_id, key)
        );
        CREATE TABLE votes (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            document_id TEXT REFERENCES documents (id) ON DELETE CASCADE,
            key TEXT NOT NULL,
            data TEXT NOT NULL,
            created_at REAL NOT NULL
        );
        CREATE INDEX votes_of ON votes (document_id, n);
        """,
    )


@step
def m005_search(db: sqlite3.Connection) -> None:
    """The index keeps word positions only; the words come from search.py's own splitting."""
    _script(
        db,
        """
        CREATE VIRTUAL TABLE message_words USING fts5(words, content='', tokenize='ascii', prefix='1');
        CREATE VIRTUAL TABLE title_words USING fts5(words, content='', tokenize='ascii', prefix='1');
        ALTER TABLE messages ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE conversations ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
        """,
    )


@step
def m006_conversation_kinds(db: sqlite3.Connection) -> None:
    """Comparisons keep their answers in conversations of their own, which no list of chats shows."""
    _script(db, "ALTER TABLE conversations ADD COLUMN kind TEXT NOT NULL DEFAULT 'chat'")


@step
def m007_guard_not_chosen(db: sqlite3.Connection) -> None:
    """Looking at the guard once stored these four levels; nobody chose them, so the defaults hold again."""
    looked_at = dict.fromkeys(("loop", "decay", "drift", "stall"), "off")
    for row_id, stored in db.execute("SELECT id, settings FROM conversations").fetchall():
        settings = json.loads(stored)
        if settings.get("guard") == looked_at:
            settings["guard"] = {}
            text = json.dumps(settings, ensure_ascii=False, separators=(",", ":"))
            db.execute("UPDATE conversations SET settings = ? WHERE id = ?", (text, row_id))


@step
def m008_reset_marks(db: sqlite3.Connection) -> None:
    """Every place where the model's state was cleared is kept, not only the last one."""
    _script(
        db,
        """
        ALTER TABLE conversations ADD COLUMN resets TEXT NOT NULL DEFAULT '[]';
        UPDATE conversations SET resets = json_array(json_object(
            'after', state_reset_at,
            'keep_history', json(CASE WHEN history_after_reset THEN 'true' ELSE 'false' END)
        )) WHERE state_reset_at IS NOT NULL;
        ALTER TABLE conversations DROP COLUMN state_reset_at
        """,
    )


@step
def m009_imports(db: sqlite3.Connection) -> None:
    """Where an imported conversation came from, so that the same file is recognised again."""
    _script(
        db,
        """
        CREATE TABLE imports (
            origin TEXT NOT NULL,
            conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            PRIMARY KEY (origin, conversation_id)
        ) WITHOUT ROWID;
        CREATE INDEX imports_of ON imports (conversation_id);
        """,
    )


@step
def m010_files(db: sqlite3.Connection) -> None:
    """Which messages use which of the files that are kept by their hashes, sent or not yet."""
    _script(
        db,
        """
        CREATE TABLE message_files (
            message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            sha256 TEXT NOT NULL,
            PRIMARY KEY (message_id, sha256)
        ) WITHOUT ROWID;
        CREATE TABLE draft_files (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            conversation_id TEXT REFERENCES conversations (id) ON DELETE CASCADE,
            sha256 TEXT NOT NULL,
            name TEXT NOT NULL,
            pages TEXT NOT NULL DEFAULT ''
        );
        CREATE INDEX draft_files_of ON draft_files (conversation_id);
        """,
    )


@step
def m011_prompts(db: sqlite3.Connection) -> None:
    """A person's own prompts by their names."""
    _script(
        db,
        """
        CREATE TABLE prompts (
            n INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            data TEXT NOT NULL
        )
        """,
    )


@step
def m012_tags(db: sqlite3.Connection) -> None:
    """Conversations have tags, and can be put away."""
    _script(
        db,
        """
        ALTER TABLE conversations ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE conversations ADD COLUMN archived INTEGER NOT NULL DEFAULT 0
        """,
    )


def _script(db: sqlite3.Connection, sql: str) -> None:
    """Run the statements one by one: `executescript` would end the step's transaction."""
    for statement in sql.split(";"):
        if statement.strip():
            db.execute(statement)
