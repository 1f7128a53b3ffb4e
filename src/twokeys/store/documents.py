"""Work that is not a chat: comparisons, studies, writing projects, and people's votes.

A document is a JSON value with a kind and a title; its results are rows under unique keys, each
stored at once, so a long run that is killed goes on where it was. What the values mean is the
business of those who store them.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Any

from twokeys.errors import NotFound
from twokeys.ids import new_id
from twokeys.store.base import Stored
from twokeys.store.coding import clean, to_json
from twokeys.types import DocumentRow, StoredDocument, Vote

HIDDEN_CONVERSATION = (
    "coalesce(json_extract(data, '$.conversation'), json_extract(data, '$.conversation_id'))"
)
"""SQL: the id of the hidden conversation that holds a document's answers. It lives and goes with it."""


class Documents(Stored):
    """Create, read, change, list, delete documents; put and read their rows; keep votes."""

    def create(self, kind: str, title: str = "", data: Mapping[str, object] | None = None) -> StoredDocument:
        """Store a new document of a kind ("comparison", "study", "writing", …) and return it."""
        now = self._clock()
        made = StoredDocument(new_id(), kind, clean(title), now, now, dict(data or {}))
        with self._db.write() as db:
            db.execute(
                "INSERT INTO documents (id, kind, title, created_at, updated_at, data) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (made.id, made.kind, made.title, made.created_at, made.updated_at, to_json(made.data)),
            )
        return made

    def get(self, document_id: str) -> StoredDocument:
        """Return a document, a deleted one too. Raises NotFound."""
        with self._db.read() as db:
            row = db.execute("SELECT * FROM documents WHERE id = ?", (document_id,)).fetchone()
        if row is None:
            raise NotFound(kind="document", name=document_id)
        return _read_document(row)

    def of_kind(self, kind: str, limit: int = 50, offset: int = 0) -> list[StoredDocument]:
        """Return the documents of a kind, the latest first."""
        with self._db.read() as db:
            rows = db.execute(
                """
                SELECT * FROM documents WHERE kind = ? AND deleted_at IS NULL
                ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?
                """,
                (kind, limit, offset),
            ).fetchall()
        return [_read_document(row) for row in rows]

    def update(
        self, document_id: str, *, title: str | None = None, data: Mapping[str, object] | None = None
    ) -> StoredDocument:
        """Change the title, the data (as a whole) or both, and return the result. Raises NotFound."""
        with self._db.write() as db:
            db.execute(
                """
                UPDATE documents SET title = coalesce(?, title), data = coalesce(?, data), updated_at = ?
                WHERE id = ?
                """,
                (
                    None if title is None else clean(title),
                    None if data is None else to_json(data),
                    self._clock(),
                    document_id,
                ),
            )
            return self.get(document_id)

    def change(
        self, document_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> StoredDocument:
        """Store what `change` makes of the data as it is now; nobody else writes in between.

        Raises NotFound.
        """
        with self._db.write():
            return self.update(document_id, data=change(self.get(document_id).data))

    def delete(self, document_id: str) -> str:
        """Move a document and its hidden conversation to the bin; return a token for `Repository.undo`.

        Raises NotFound.
        """
        now = self._clock()
        with self._db.write() as db:
            self.get(document_id)
            hidden = hidden_conversation(db, document_id)
            db.execute("UPDATE documents SET deleted_at = ? WHERE id = ?", (now, document_id))
            if hidden is not None:
                db.execute("UPDATE conversations SET deleted_at = ? WHERE id = ?", (now, hidden))
            return self._remember("document", id=document_id)

    # -- rows ------------------------------------------------------------------------------------

    def put_row(
        self, document_id: str, key: str, data: Mapping[str, object], *, replace: bool = False
    ) -> bool:
        """Store a result under its key; return whether it was new.

        A key that is there keeps its value, so that putting again is harmless; `replace` overwrites.
        Raises NotFound without the document.
        """
        with self._db.write() as db:
            there = db.execute(
                "SELECT 1 FROM rows WHERE document_id = ? AND key = ?", (document_id, key)
            ).fetchone()
            if there is not None and not replace:
                return False
            now = self._clock()
            try:
                db.execute(
                    """
                    INSERT INTO rows (document_id, key, data, created_at) VALUES (?, ?, ?, ?)
                    ON CONFLICT (document_id, key)
                    DO UPDATE SET data = excluded.data, created_at = excluded.created_at
                    """,
                    (document_id, key, to_json(data), now),
                )
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="document", name=document_id) from exc
            db.execute("UPDATE documents SET updated_at = ? WHERE id = ?", (now, document_id))
        return there is None

    def put_rows(self, document_id: str, rows: Mapping[str, Mapping[str, object]]) -> int:
        """Store several new results at once, all or none; return how many were new.

        Keys that are there keep their values. Raises NotFound without the document.
        """
        with self._db.write():
            return sum(self.put_row(document_id, key, data) for key, data in rows.items())

    def drop_rows(self, document_id: str, keys: Collection[str]) -> None:
        """Delete the results under these keys; those that are not there do no harm."""
        with self._db.write() as db:
            db.executemany(
                "DELETE FROM rows WHERE document_id = ? AND key = ?", [(document_id, key) for key in keys]
            )

    def get_row(self, document_id: str, key: str) -> DocumentRow | None:
        """Return one row, or None."""
        with self._db.read() as db:
            row = db.execute(
                "SELECT * FROM rows WHERE document_id = ? AND key = ?", (document_id, key)
            ).fetchone()
        return None if row is None else _read_row(row)

    def changed_at(self, document_id: str) -> float | None:
        """Return when a document or one of its rows was last changed, in Unix seconds; None without it.

        A cheap way to see that a value read earlier is still what is stored.
        """
        with self._db.read() as db:
            row = db.execute("SELECT updated_at FROM documents WHERE id = ?", (document_id,)).fetchone()
        return None if row is None else float(row["updated_at"])

    def rows(self, document_id: str, prefix: str = "") -> list[DocumentRow]:
        """Return the rows of a document whose keys begin with `prefix`, in the order they first came."""
        with self._db.read() as db:
            fetched = db.execute(
                "SELECT * FROM rows WHERE document_id = ? AND key >= ? AND key < ? ORDER BY n",
                (document_id, prefix, prefix + "\U0010ffff"),
            ).fetchall()
        return [_read_row(row) for row in fetched]

    def row_keys(self, document_id: str) -> set[str]:
        """Return the keys that are there: what a resumed run need not do again."""
        with self._db.read() as db:
            fetched = db.execute("SELECT key FROM rows WHERE document_id = ?", (document_id,)).fetchall()
        return {row["key"] for row in fetched}

    def row_values(self, document_id: str, prefix: str = "") -> list[Any]:
        """Return the bare values of all rows whose keys begin with `prefix`, in order: for large reads.

        One pass of the JSON reader over all of them: a third of the time of `rows`.
        """
        with self._db.read() as db:
            fetched = db.execute(
                "SELECT data FROM rows WHERE document_id = ? AND key >= ? AND key < ? ORDER BY n",
                (document_id, prefix, prefix + "\U0010ffff"),
            ).fetchall()
        values: list[Any] = json.loads("[" + ",".join(row["data"] for row in fetched) + "]")
        return values

    def count_rows(self, document_id: str, prefix: str = "") -> int:
        """Return how many rows have keys that begin with `prefix`."""
        with self._db.read() as db:
            row = db.execute(
                "SELECT count(*) AS n FROM rows WHERE document_id = ? AND key >= ? AND key < ?",
                (document_id, prefix, prefix + "\U0010ffff"),
            ).fetchone()
        return int(row["n"])

    # -- votes -----------------------------------------------------------------------------------

    def add_vote(self, document_id: str | None, key: str, data: Mapping[str, object]) -> Vote:
        """Keep a judgement. Raises NotFound when the document does not exist."""
        vote = Vote(new_id(), document_id, key, dict(data), self._clock())
        with self._db.write() as db:
            try:
                db.execute(
                    "INSERT INTO votes (id, document_id, key, data, created_at) VALUES (?, ?, ?, ?, ?)",
                    (vote.id, document_id, key, to_json(vote.data), vote.created_at),
                )
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="document", name=document_id or "") from exc
        return vote

    def votes(self, document_id: str | None = None) -> list[Vote]:
        """Return the votes on a document, or all votes there are, oldest first."""
        with self._db.read() as db:
            fetched = db.execute(
                "SELECT * FROM votes WHERE :id IS NULL OR document_id = :id ORDER BY n", {"id": document_id}
            ).fetchall()
        return [
            Vote(row["id"], row["document_id"], row["key"], json.loads(row["data"]), row["created_at"])
            for row in fetched
        ]


def hidden_conversation(db: sqlite3.Connection, document_id: str) -> str | None:
    """Return the id of the hidden conversation that holds a document's answers, None without one."""
    row = db.execute(
        f"""
        SELECT c.id FROM documents d JOIN conversations c ON c.id = {HIDDEN_CONVERSATION}
        WHERE d.id = ? AND c.kind != 'chat'
        """,
        (document_id,),
    ).fetchone()
    return None if row is None else str(row["id"])


def _read_document(row: sqlite3.Row) -> StoredDocument:
    return StoredDocument(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        data=json.loads(row["data"]),
        deleted_at=row["deleted_at"],
    )


def _read_row(row: sqlite3.Row) -> DocumentRow:
    return DocumentRow(row["document_id"], row["key"], json.loads(row["data"]), row["created_at"])
