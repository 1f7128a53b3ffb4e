"""The repository: all that is kept, behind one thread-safe, synchronous class.

Its parts are next door: conversations, messages (the tree), journal (answers being written), shelf
(settings, presets, speeds), documents, search. Every method raises StoreError when the database
does not let it work, and leaves it as it was.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from twokeys.config import Config
from twokeys.errors import NotFound, store_error
from twokeys.store import search
from twokeys.store.base import Clock
from twokeys.store.bin import Bin
from twokeys.store.conversations import ConversationStore
from twokeys.store.db import Database
from twokeys.store.documents import Documents, hidden_conversation
from twokeys.store.files import Files
from twokeys.store.journal import AnswerJournal
from twokeys.store.locks import AppLock
from twokeys.store.shelf import SettingsShelf
from twokeys.types import ANYWHERE, Message, SearchFilter, SearchHit


class Repository(ConversationStore, AnswerJournal, SettingsShelf):
    """Everything that is kept of one TWOKEYS_HOME.

    documents: comparisons, studies, writing projects and votes. files: what was attached. bin: what was
    deleted.
    """

    def __init__(self, db: Database, run_dir: Path, *, clock: Clock = time.time) -> None:
        super().__init__(db, _sign_of_life(db, run_dir), clock)
        self.documents = Documents(db, self._app, clock)
        self.files = Files(db, self._app, clock)
        self.bin = Bin(db, self._app, clock, self.files)
        if not db.read_only:
            self._complete_index()

    @classmethod
    def open(cls, config: Config, *, clock: Clock = time.time) -> Self:
        """Open the database of a home, creating or migrating it.

        Raises StoreCorrupt, StoreNewer, StoreLocked, StoreFull or StoreError.
        """
        return cls(Database(config.database, backups=config.backups_dir), config.run_dir, clock=clock)

    @classmethod
    def open_for_reading(cls, config: Config) -> Self:
        """Open the database of a home without writing anything: on a full disk, in a read-only folder.

        Whatever would change it raises StoreReadOnly. Raises StoreError when it cannot be read so.
        """
        return cls(Database(config.database, backups=config.backups_dir, read_only=True), config.run_dir)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several calls of this thread one: all of them are stored, or none."""
        with self._db.write():
            yield

    def begin_turn(self, question: Message, answer: Message, title: str | None = None) -> None:
        """Store a question and the beginning of its answer, and show them; all or nothing.

        title: what the conversation is called from its first words.
        """
        with self._db.write():
            self.add_message(question)
            if title is not None:
                self.update_conversation(question.conversation_id, title=title)
            self.begin(answer)

    def search(self, query: str, limit: int = 30, wanted: SearchFilter = ANYWHERE) -> list[SearchHit]:
        """Return where the words are found, in titles first; see search.py for how words are read."""
        with self._db.read() as db:
            return search.search(db, query, limit, wanted)

    def models_used(self) -> list[str]:
        """Return the names of the models that wrote the latest few thousand messages, for a filter."""
        with self._db.read() as db:
            rows = db.execute(
                """
                SELECT DISTINCT json_extract(provenance, '$.model') AS model FROM messages
                WHERE role = 'assistant' AND deleted_at IS NULL
                AND n > (SELECT coalesce(max(n), 0) - ? FROM messages)
                """,
                (search.SCANNED_MESSAGES // 4,),
            ).fetchall()
        return sorted(row["model"] for row in rows if isinstance(row["model"], str))

    # -- taking back ---------------------------------------------------------------

    def undo(self, token: str) -> None:
        """Take back a deletion. Raises NotFound when it was taken back already or purged."""
        with self._db.write() as db:
            recalled = self._recall(token)
            if recalled is None:
                raise NotFound(kind="undo", name=token)
            kind, data = recalled
            if kind == "message":
                self._undo_message(token, data)
            else:
                hidden = hidden_conversation(db, data["id"]) if kind == "document" else None
                table = {"conversation": "conversations", "document": "documents"}[kind]
                db.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = ?", (data["id"],))
                db.execute("UPDATE conversations SET deleted_at = NULL WHERE id = ?", (hidden,))

    def check(self) -> list[str]:
        """Check the whole database file; return the faults found, none when it is sound."""
        return self._db.check()

    def close(self) -> None:
        """Close the database and give up this app's sign of life. Idempotent."""
        self._db.close()
        self._app.release()

    def _complete_index(self) -> None:
        """Index what is not yet: after a migration, or anew after a change of the splitting."""
        with self._db.read() as db:
            current = self.get_setting(search.VERSION_SETTING) == search.VERSION
        if current:
            return
        with self._db.write() as db:
            search.clear(db)
            for row in db.execute("SELECT n, content FROM messages WHERE owner IS NULL AND content != ''"):
                search.index(db, "message_words", row["n"], row["content"])
            for row in db.execute("SELECT n, title FROM conversations WHERE title != ''"):
                search.index(db, "title_words", row["n"], row["title"])
            db.execute("UPDATE messages SET indexed = owner IS NULL AND content != ''")
            db.execute("UPDATE conversations SET indexed = title != ''")
            self.set_setting(search.VERSION_SETTING, search.VERSION)


def _sign_of_life(db: Database, run_dir: Path) -> AppLock:
    if db.read_only:
        return AppLock(run_dir, reader=True)
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return AppLock(run_dir)
    except OSError as exc:
        db.close()
        raise store_error(exc, run_dir) from exc
