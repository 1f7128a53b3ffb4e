"""Files that were attached: each kept once by its hash in a folder of the owner's, and who uses it.

A file is used by the messages whose provenance names it and by messages that are not sent yet. What
nothing uses any longer is removed by the bin. Knows nothing of what is in a file.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from twokeys.errors import NotFound, store_error
from twokeys.files import write_whole
from twokeys.ids import new_id
from twokeys.store.base import Clock, Stored
from twokeys.store.coding import clean
from twokeys.store.db import Database
from twokeys.store.locks import AppLock
from twokeys.types import DraftFile, Message

FOLDER = "files"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Files(Stored):
    """The attached files of one home. All methods raise StoreError when the disk does not let them work."""

    def __init__(self, db: Database, app: AppLock, clock: Clock) -> None:
        super().__init__(db, app, clock)
        self._folder = db.path.parent / FOLDER

    # -- contents ----------------------------------------------------------------------------------

    def keep(self, data: bytes) -> str:
        """Keep a file, once whoever attaches it; return its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._folder / sha256
        # removed and kept in turns: within a write, nobody takes away what is just being attached
        with self._db.write():
            if not path.exists():
                try:
                    self._folder.mkdir(mode=0o700, exist_ok=True)
                    write_whole(path, data)
                except OSError as exc:
                    raise store_error(exc, path) from exc
        return sha256

    def read(self, sha256: str) -> bytes:
        """Return a file's bytes. Raises NotFound."""
        if not _SHA256.fullmatch(sha256):
            raise NotFound(kind="file", name=sha256)
        try:
            return (self._folder / sha256).read_bytes()
        except FileNotFoundError as exc:
            raise NotFound(kind="file", name=sha256) from exc
        except OSError as exc:
            raise store_error(exc, self._folder / sha256) from exc

    def of_conversation(self, conversation_id: str) -> list[str]:
        """Return the hashes of the files that a conversation's messages name, deleted ones left out."""
        with self._db.read() as db:
            rows = db.execute(
                """
                SELECT DISTINCT f.sha256 FROM message_files f JOIN messages m ON m.id = f.message_id
                WHERE m.conversation_id = ? AND m.deleted_at IS NULL ORDER BY f.sha256
                """,
                (conversation_id,),
            ).fetchall()
        return [row["sha256"] for row in rows]

    # -- messages that are not sent yet --------------------------------------------------------------

    def add_draft(self, conversation_id: str | None, data: bytes, name: str, pages: str = "") -> DraftFile:
        """Keep a file for the next message of a conversation; None: for the next comparison.

        The same file under the same name is added once. Raises NotFound.
        """
        with self._db.write() as db:
            sha256 = self.keep(data)
            same = "SELECT * FROM draft_files WHERE conversation_id IS ? AND sha256 = ? AND name = ?"
            row = db.execute(same, (conversation_id, sha256, clean(name))).fetchone()
            if row is not None:
                return _draft_file(row)
            try:
                row = db.execute(
                    "INSERT INTO draft_files (id, conversation_id, sha256, name, pages) "
                    "VALUES (?, ?, ?, ?, ?) RETURNING *",
                    (new_id(), conversation_id, sha256, clean(name), pages),
                ).fetchone()
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="conversation", name=str(conversation_id)) from exc
            return _draft_file(row)

    def drafts(self, conversation_id: str | None) -> list[DraftFile]:
        """Return the files of the next message, in the order they were added."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT * FROM draft_files WHERE conversation_id IS ? ORDER BY n", (conversation_id,)
            ).fetchall()
        return [_draft_file(row) for row in rows]

    def choose_pages(self, draft_id: str, pages: str) -> None:
        """Choose what of a file goes along, such as "1-3"; "" for all of it."""
        with self._db.write() as db:
            db.execute("UPDATE draft_files SET pages = ? WHERE id = ?", (pages, draft_id))

    def drop_drafts(self, draft_ids: Iterable[str]) -> None:
        """Let files go along with the next message no longer."""
        with self._db.write() as db:
            db.executemany("DELETE FROM draft_files WHERE id = ?", [(draft_id,) for draft_id in draft_ids])

    # -- the end -------------------------------------------------------------------------------------

    def sweep(self) -> int:
        """Remove the files that nothing uses; return how many. Raises OSError."""
        with self._db.read() as db:
            if not self._unused(db):
                return 0
        with self._db.write() as db:
            unused = self._unused(db)
            for path in unused:
                path.unlink(missing_ok=True)
        return len(unused)

    def _unused(self, db: sqlite3.Connection) -> list[Path]:
        if not self._folder.is_dir():
            return []
        rows = db.execute("SELECT sha256 FROM message_files UNION SELECT sha256 FROM draft_files")
        used = {row[0] for row in rows}
        return [path for path in self._folder.iterdir() if path.name not in used]


def link_files(db: sqlite3.Connection, message: Message) -> None:
    """Note which files a new message names: they stay as long as it does."""
    if message.role != "user":
        return
    named = [str(document.get("sha256")) for document in message.provenance.documents]
    db.executemany(
        "INSERT OR IGNORE INTO message_files (message_id, sha256) VALUES (?, ?)",
        [(message.id, sha256) for sha256 in named if _SHA256.fullmatch(sha256)],
    )


def _draft_file(row: sqlite3.Row) -> DraftFile:
    return DraftFile(row["id"], row["conversation_id"], row["sha256"], row["name"], row["pages"])
