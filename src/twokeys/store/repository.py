"""The repository: all that is kept, behind one thread-safe, synchronous class.

Its parts are next door: conversations, messages (the tree), journal (answers being written), shelf
(settings, presets, speeds), documents, search. Every method raises StoreError when the database
does not let it work, and leaves it as it was.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from twokeys.config import Config
from twokeys.errors import NotFound
from twokeys.store import exchange, search
from twokeys.store.base import Clock
from twokeys.store.conversations import ConversationStore
from twokeys.store.db import Database, os_error
from twokeys.store.documents import Documents
from twokeys.store.journal import AnswerJournal
from twokeys.store.locks import AppLock
from twokeys.store.shelf import Shelf
from twokeys.types import Conversation, SearchHit

KEPT_IN_BIN_S = 30 * 86400.0
_INDEX_VERSION = "store.search_version"


class Repository(ConversationStore, AnswerJournal, Shelf):
    """Everything that is kept of one TWOKEYS_HOME.

    documents: comparisons, studies, writing projects and votes.
    """

    def __init__(self, db: Database, run_dir: Path, *, clock: Clock = time.time) -> None:
        super().__init__(db, _sign_of_life(db, run_dir), clock)
        self.documents = Documents(db, self._app, clock)
        self._complete_index()

    @classmethod
    def open(cls, config: Config, *, clock: Clock = time.time) -> Self:
        """Open the database of a home, creating or migrating it.

        Raises StoreCorrupt, StoreNewer, StoreLocked, StoreFull or StoreError.
        """
        return cls(Database(config.database, backups=config.backups_dir), config.run_dir, clock=clock)

    @property
    def database_path(self) -> Path:
        return self._db.path

    @property
    def app_id(self) -> str:
        """The id under which this app owns the answers it writes."""
        return self._app.id

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several calls of this thread one: all of them are stored, or none."""
        with self._db.write():
            yield

    def search(self, query: str, limit: int = 30) -> list[SearchHit]:
        """Return where the words are found, in titles first; see search.py for how words are read."""
        with self._db.read() as db:
            return search.search(db, query, limit)

    # -- in and out ------------------------------------------------------------------------------

    def export_json(self, conversation_ids: Sequence[str] | None = None, *, with_probs: bool = False) -> str:
        """Return conversations (all when None) as our complete JSON. Raises NotFound."""
        return exchange.export_json(self, conversation_ids, with_probs=with_probs)

    def export_markdown(self, conversation_id: str, language: str) -> str:
        """Return the shown branch of a conversation to be read by people. Raises NotFound."""
        return exchange.export_markdown(self, conversation_id, language)

    def export_markdown_zip(self, language: str) -> bytes:
        """Return all conversations as a zip archive with one Markdown file each."""
        return exchange.export_markdown_zip(self, language)

    def import_file(self, data: bytes, name: str) -> exchange.Imported:
        """Store the conversations of our JSON or of ChatGPT's export (JSON or zip).

        Nothing is overwritten: ids that are taken are replaced. Raises BadFile, and then nothing
        was stored.
        """
        return exchange.import_file(self, data, name)

    # -- taking back, clearing out ---------------------------------------------------------------

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
                table = {"conversation": "conversations", "document": "documents"}[kind]
                db.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = ?", (data["id"],))

    def purge(self, older_than_s: float = KEPT_IN_BIN_S) -> int:
        """Remove for good what was deleted longer ago; return how many conversations that were."""
        limit = self._clock() - older_than_s
        with self._db.write() as db:
            gone = """
                SELECT m.n, m.content, m.indexed FROM messages m JOIN conversations c
                ON c.id = m.conversation_id WHERE m.deleted_at <= :limit OR c.deleted_at <= :limit
            """
            for row in db.execute(gone, {"limit": limit}).fetchall():
                if row["indexed"]:
                    search.unindex(db, "message_words", row["n"], row["content"])
                db.execute("DELETE FROM messages WHERE n = ?", (row["n"],))
            titles = "SELECT n, title FROM conversations WHERE deleted_at <= ? AND indexed"
            for row in db.execute(titles, (limit,)).fetchall():
                search.unindex(db, "title_words", row["n"], row["title"])
            count = db.execute("DELETE FROM conversations WHERE deleted_at <= ?", (limit,)).rowcount
            db.execute("DELETE FROM documents WHERE deleted_at <= ?", (limit,))
            db.execute("DELETE FROM undo WHERE created_at <= ?", (limit,))
        return count

    def check(self) -> list[str]:
        """Check the whole database file; return the faults found, none when it is sound."""
        return self._db.check()

    def close(self) -> None:
        """Close the database and give up this app's sign of life. Idempotent."""
        self._db.close()
        self._app.release()

    def _conversation(self, conversation_id: str) -> Conversation:
        return self.get_conversation(conversation_id)

    def _complete_index(self) -> None:
        """Index what is not yet: after a migration, or anew after a change of the splitting."""
        with self._db.read() as db:
            current = self.get_setting(_INDEX_VERSION) == search.VERSION
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
            self.set_setting(_INDEX_VERSION, search.VERSION)


def _sign_of_life(db: Database, run_dir: Path) -> AppLock:
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return AppLock(run_dir)
    except OSError as exc:
        db.close()
        raise os_error(exc, run_dir) from exc
