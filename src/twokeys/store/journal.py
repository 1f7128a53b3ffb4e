"""The journal of answers being written: nothing that was on the screen is lost with the app.

Text is appended in small pieces and folded into the message at the end, so the cost of a piece does
not grow with the answer. A piece that `append` returned from survives the death of the process (a
power cut may take the last moments, never the file). Each app owns the answers it writes; those of
an app that died are folded by the next one that starts.
"""

import sqlite3
from collections.abc import Sequence

from twokeys.errors import NotFound, StoreLocked
from twokeys.store import shapes
from twokeys.store.coding import clean, from_json, pack_ids, pack_probs, to_json, unpack_ids, unpack_probs
from twokeys.store.messages import (
    BEING_WRITTEN,
    MessageStore,
    index_message,
    journalled,
    message_column,
    unindex_message,
)
from twokeys.types import GuardEvent, Message, TokenProb

_WRITTEN = ("content", "state", "finish_reason", "provenance", "token_ids", "error")


class AnswerJournal(MessageStore):
    """Keeps answers while they are written, and what was measured about them."""

    def begin(self, message: Message) -> None:
        """Store a new answer and show it, or reopen a stored one that is to grow.

        Raises NotFound without the conversation; StoreLocked when another running app writes it.
        """
        with self._db.write() as db:
            self._app.hold()
            row = db.execute("SELECT owner FROM messages WHERE id = ?", (message.id,)).fetchone()
            if row is None:
                self._insert(db, message)
                self._touch(db, message.conversation_id, message.id)
                return
            owner = row["owner"]
            if owner not in (None, self._app.id) and self._app.is_alive(owner):
                raise StoreLocked(path=str(self._db.path))
            self._rewrite(db, message)

    def append(self, message_id: str, text: str, token_ids: Sequence[int] = ()) -> None:
        """Add text and token ids that came since the last call. Raises NotFound before `begin`."""
        with self._db.write() as db:
            self._app.hold()
            try:
                db.execute(
                    """
                    INSERT INTO journal (message_id, seq, text, token_ids)
                    SELECT :id, coalesce(max(seq), 0) + 1, :text, :ids FROM journal WHERE message_id = :id
                    """,
                    {"id": message_id, "text": clean(text), "ids": pack_ids(token_ids)},
                )
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="message", name=message_id) from exc

    def finish(
        self, message: Message, *, probs: Sequence[TokenProb] = (), events: Sequence[GuardEvent] = ()
    ) -> None:
        """Store the whole answer, with what was measured of it, and drop its journal: all or nothing.

        Stores it even when `begin` did not work.
        """
        with self._db.write() as db:
            if db.execute("SELECT 1 FROM messages WHERE id = ?", (message.id,)).fetchone() is None:
                self._insert(db, message)
                self._touch(db, message.conversation_id, message.id)
            else:
                self._rewrite(db, message)
                self._touch(db, message.conversation_id, None)
            if probs:
                self.put_probs(message.id, probs)
            if events:
                self.add_events(message.id, events)

    def recover_interrupted(self) -> list[str]:
        """Fold the answers of apps that died into their messages, marked as interrupted.

        Those of running apps are left alone. Returns the ids of the messages.
        """
        with self._db.read() as db:
            owners = [r[0] for r in db.execute("SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL")]
        recovered: list[str] = []
        for owner in owners:
            if not self._app.is_alive(owner):
                recovered.extend(self._fold_all(owner))
        self._app.sweep()
        return recovered

    def _fold_all(self, owner: str) -> list[str]:
        with self._db.write() as db:
            rows = db.execute(
                "SELECT id, content, token_ids FROM messages WHERE owner = ?", (owner,)
            ).fetchall()
            for row in rows:
                text, ids = journalled(db, row["id"])
                known = unpack_ids(row["token_ids"]) if row["token_ids"] else ()
                db.execute(
                    """
                    UPDATE messages SET content = ?, token_ids = ?, state = 'interrupted',
                        finish_reason = 'interrupted', owner = NULL WHERE id = ?
                    """,
                    (row["content"] + text, pack_ids(known + ids) or None, row["id"]),
                )
                db.execute("DELETE FROM journal WHERE message_id = ?", (row["id"],))
                index_message(db, row["id"])
        return [row["id"] for row in rows]

    def _rewrite(self, db: sqlite3.Connection, message: Message) -> None:
        unindex_message(db, message.id)
        values = {name: message_column(name, getattr(message, name)) for name in _WRITTEN}
        values["owner"] = self._app.id if message.state in BEING_WRITTEN else None
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        db.execute(f"UPDATE messages SET {assignments} WHERE id = :id", {**values, "id": message.id})
        db.execute("DELETE FROM journal WHERE message_id = ?", (message.id,))
        index_message(db, message.id)

    # -- what was measured about an answer -------------------------------------------------------

    def put_probs(self, message_id: str, probs: Sequence[TokenProb]) -> None:
        """Store the probabilities of the answer's tokens, replacing earlier ones. Raises NotFound."""
        with self._db.write() as db:
            try:
                db.execute(
                    "INSERT INTO token_probs (message_id, data) VALUES (?, ?) "
                    "ON CONFLICT (message_id) DO UPDATE SET data = excluded.data",
                    (message_id, pack_probs(probs)),
                )
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="message", name=message_id) from exc

    def get_probs(self, message_id: str) -> list[TokenProb]:
        """Return the stored probabilities; empty when there are none."""
        with self._db.read() as db:
            row = db.execute("SELECT data FROM token_probs WHERE message_id = ?", (message_id,)).fetchone()
        return unpack_probs(row["data"]) if row is not None else []

    def add_events(self, message_id: str, events: Sequence[GuardEvent]) -> None:
        """Add what was noticed about an answer. Raises NotFound."""
        with self._db.write() as db:
            try:
                db.executemany(
                    "INSERT INTO message_events (message_id, kind, level, at_token, at_char, data) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    [(message_id, e.kind, e.level, e.at_token, e.at_char, to_json(e.data)) for e in events],
                )
            except sqlite3.IntegrityError as exc:
                raise NotFound(kind="message", name=message_id) from exc

    def events(self, message_id: str) -> list[GuardEvent]:
        """Return what was noticed about an answer, in the order it came."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT * FROM message_events WHERE message_id = ? ORDER BY n", (message_id,)
            ).fetchall()
        return [
            GuardEvent(
                row["kind"],
                row["level"],
                row["at_token"],
                row["at_char"],
                shapes.event_data(from_json(row["data"])),
            )
            for row in rows
        ]
