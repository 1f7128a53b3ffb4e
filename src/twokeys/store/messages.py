"""The message tree: every version and branch of a conversation, and the path that is shown.

Row numbers grow with time and a child comes after its parent, so the newest message below another
is always the end of a branch.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twokeys.errors import BadInput, NotFound, Reason
from twokeys.store import search
from twokeys.store.base import Stored
from twokeys.store.coding import clean, pack_ids, read_message, to_json, unpack_ids
from twokeys.store.files import link_files
from twokeys.types import Message

_CHANGEABLE = ("content", "state", "finish_reason", "provenance", "token_ids", "excluded", "error")
BEING_WRITTEN = ("queued", "streaming")

_VERSIONS = """
    (SELECT count(*) FROM messages s WHERE s.conversation_id = m.conversation_id
        AND s.parent_id IS m.parent_id AND s.role = m.role AND s.deleted_at IS NULL
        AND s.n <= m.n) AS version,
    (SELECT count(*) FROM messages s WHERE s.conversation_id = m.conversation_id
        AND s.parent_id IS m.parent_id AND s.role = m.role AND s.deleted_at IS NULL) AS versions
"""
_UPWARD = f"""
    WITH RECURSIVE up (id, parent_id, depth) AS (
        SELECT id, parent_id, 0 FROM messages WHERE id = :start
        UNION ALL
        SELECT m.id, m.parent_id, up.depth + 1 FROM messages m JOIN up ON m.id = up.parent_id
        LIMIT :limit
    )
    SELECT m.*, {_VERSIONS} FROM up JOIN messages m ON m.id = up.id ORDER BY up.depth DESC
"""
_BELOW = """
    WITH RECURSIVE below (id, n) AS (
        SELECT id, n FROM messages WHERE id = :start
        UNION ALL
        SELECT m.id, m.n FROM messages m JOIN below ON m.parent_id = below.id WHERE m.deleted_at IS NULL
    )
"""


class MessageStore(Stored):
    """Read and change the message trees."""

    # -- reading ---------------------------------------------------------------------------------

    def get_message(self, message_id: str) -> Message:
        """Return a message; one being written has the text journalled so far. Raises NotFound."""
        with self._db.read() as db:
            row = db.execute(
                f"SELECT m.*, {_VERSIONS} FROM messages m WHERE m.id = ?", (message_id,)
            ).fetchone()
            if row is None:
                raise NotFound(kind="message", name=message_id)
            return _read_all(db, [row])[0]

    def get_messages(self, message_ids: Sequence[str]) -> list[Message]:
        """Return several messages in the order of their ids, like `get_message`. Raises NotFound."""
        marks = ", ".join("?" * len(message_ids))
        with self._db.read() as db:
            rows = db.execute(
                f"SELECT m.*, {_VERSIONS} FROM messages m WHERE m.id IN ({marks})", tuple(message_ids)
            ).fetchall()
            by_id = {message.id: message for message in _read_all(db, rows)}
        for message_id in message_ids:
            if message_id not in by_id:
                raise NotFound(kind="message", name=message_id)
        return [by_id[message_id] for message_id in message_ids]

    def branch(
        self, conversation_id: str, limit: int | None = None, before: str | None = None
    ) -> list[Message]:
        """Return the shown branch from the first message to the head, versions filled in.

        limit: only the last so many. before: end above that message instead of at the head, so that
        `branch(c, 30, before=shown[0].id)` gives what "show earlier" needs. Raises NotFound.
        """
        with self._db.read() as db:
            if before is not None:
                row = db.execute("SELECT parent_id FROM messages WHERE id = ?", (before,)).fetchone()
            else:
                row = db.execute(
                    "SELECT head_id FROM conversations WHERE id = ?", (conversation_id,)
                ).fetchone()
            if row is None:
                kind = "conversation" if before is None else "message"
                raise NotFound(kind=kind, name=before or conversation_id)
            return _read_up(db, row[0], limit)

    def path(self, message_id: str) -> list[Message]:
        """Return the messages from the first one down to this one. Raises NotFound."""
        with self._db.read() as db:
            messages = _read_up(db, message_id, None)
        if not messages:
            raise NotFound(kind="message", name=message_id)
        return messages

    def siblings(self, message_id: str) -> list[Message]:
        """Return all versions of a message, oldest first, itself among them. Raises NotFound."""
        with self._db.read() as db:
            own = db.execute("SELECT 1 FROM messages WHERE id = ?", (message_id,)).fetchone()
            if own is None:
                raise NotFound(kind="message", name=message_id)
            rows = db.execute(
                f"""
                SELECT m.*, {_VERSIONS} FROM messages o JOIN messages m
                ON m.conversation_id = o.conversation_id AND m.parent_id IS o.parent_id AND m.role = o.role
                WHERE o.id = ? AND m.deleted_at IS NULL ORDER BY m.n
                """,
                (message_id,),
            ).fetchall()
            return _read_all(db, rows)

    def all_messages(self, conversation_id: str) -> list[Message]:
        """Return the whole tree of a conversation, parents before children, without deleted ones."""
        with self._db.read() as db:
            rows = db.execute(
                f"""
                SELECT m.*, {_VERSIONS} FROM messages m
                WHERE m.conversation_id = ? AND m.deleted_at IS NULL ORDER BY m.n
                """,
                (conversation_id,),
            ).fetchall()
            return _read_all(db, rows)

    def count_messages(self, conversation_id: str) -> int:
        """Return how many messages a conversation's tree has, deleted ones left out."""
        with self._db.read() as db:
            row = db.execute(
                "SELECT count(*) FROM messages WHERE conversation_id = ? AND deleted_at IS NULL",
                (conversation_id,),
            ).fetchone()
        return int(row[0])

    def latest_leaf(self, message_id: str) -> str:
        """Return the newest message below this one (or itself): where a branch ends. Raises NotFound."""
        with self._db.read() as db:
            row = db.execute(
                f"{_BELOW} SELECT id FROM below ORDER BY n DESC LIMIT 1", {"start": message_id}
            ).fetchone()
        if row is None:
            raise NotFound(kind="message", name=message_id)
        return str(row["id"])

    # -- changing --------------------------------------------------------------------------------

    def add_message(self, message: Message, *, head: bool = True) -> Message:
        """Store a new message and, with `head`, show the branch that ends in it.

        Raises NotFound when the conversation or the parent is not there, BadInput when the id is
        taken.
        """
        with self._db.write() as db:
            if message.parent_id is not None:
                parent = db.execute(
                    "SELECT conversation_id FROM messages WHERE id = ?", (message.parent_id,)
                ).fetchone()
                if parent is None or parent["conversation_id"] != message.conversation_id:
                    raise NotFound(kind="message", name=message.parent_id)
            self._insert(db, message)
            self._touch(db, message.conversation_id, message.id if head else None)
            return self.get_message(message.id)

    def add_messages(self, messages: Sequence[Message]) -> None:
        """Store many messages of one tree, parents first, leaving head and date as they are.

        Raises NotFound when their conversation is not there, BadInput when an id is taken.
        """
        with self._db.write() as db:
            for message in messages:
                self._insert(db, message)

    def holds(self, conversation_id: str, message_ids: Sequence[str]) -> bool:
        """Return whether the conversation's id or one of the messages' ids is in use."""
        with self._db.read() as db:
            if db.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone():
                return True
            query = "SELECT 1 FROM messages WHERE id = ?"
            return any(db.execute(query, (message_id,)).fetchone() for message_id in message_ids)

    def update_message(self, message_id: str, **changes: object) -> Message:
        """Change some fields by the names of Message and return the result.

        Raises NotFound; BadInput for a field that cannot be changed.
        """
        unknown = set(changes) - set(_CHANGEABLE)
        if unknown:
            raise BadInput(
                reason=Reason(
                    "errors.reason.fixed_fields",
                    names=", ".join(sorted(unknown)),
                )
            )
        values = {name: message_column(name, value) for name, value in changes.items()}
        if "state" in values:
            values["owner"] = self._app.id if values["state"] in BEING_WRITTEN else None
        with self._db.write() as db:
            unindex_message(db, message_id)
            if values:
                assignments = ", ".join(f"{name} = :{name}" for name in values)
                db.execute(f"UPDATE messages SET {assignments} WHERE id = :id", {**values, "id": message_id})
            index_message(db, message_id)
            return self.get_message(message_id)

    def delete_message(self, message_id: str) -> str:
        """Hide a message and all that follows from it; return a token for `undo`.

        When the shown branch went through it, the newest other version is shown, else the branch
        ends above it. Raises NotFound.
        """
        with self._db.write() as db:
            row = db.execute(
                """
                SELECT m.*, c.head_id FROM messages m JOIN conversations c ON c.id = m.conversation_id
                WHERE m.id = ? AND m.deleted_at IS NULL
                """,
                (message_id,),
            ).fetchone()
            if row is None:
                raise NotFound(kind="message", name=message_id)
            head = row["head_id"]
            below = f"{_BELOW} SELECT id FROM below"
            shown = db.execute(f"SELECT :head IN ({below})", {"head": head, "start": message_id}).fetchone()[
                0
            ]
            new_head = self._head_without(db, row) if shown else head
            token = self._remember(
                "message",
                id=message_id,
                conversation_id=row["conversation_id"],
                head_before=head,
                head_after=new_head,
            )
            db.execute(
                f"UPDATE messages SET deleted_at = :now, deleted_by = :token WHERE id IN ({below})",
                {"now": self._clock(), "token": token, "start": message_id},
            )
            db.execute(
                "UPDATE conversations SET head_id = ? WHERE id = ?", (new_head, row["conversation_id"])
            )
            return token

    def _head_without(self, db: sqlite3.Connection, row: sqlite3.Row) -> str | None:
        """Return where the shown branch ends when this message is gone."""
        other = db.execute(
            """
            SELECT id FROM messages WHERE conversation_id = :conversation_id AND parent_id IS :parent_id
            AND role = :role AND id != :id AND deleted_at IS NULL ORDER BY n DESC LIMIT 1
            """,
            {name: row[name] for name in ("conversation_id", "parent_id", "role", "id")},
        ).fetchone()
        if other is not None:
            return self.latest_leaf(other["id"])
        return None if row["parent_id"] is None else str(row["parent_id"])

    def _undo_message(self, token: str, data: dict[str, object]) -> None:
        with self._db.write() as db:
            db.execute(
                "UPDATE messages SET deleted_at = NULL, deleted_by = NULL WHERE deleted_by = ?", (token,)
            )
            # Someone who went on elsewhere meanwhile is not pulled back.
            db.execute(
                "UPDATE conversations SET head_id = :head_before WHERE id = :conversation_id "
                "AND head_id IS :head_after AND EXISTS "
                "(SELECT 1 FROM messages WHERE id = :head_before AND deleted_at IS NULL)",
                data,
            )

    # -- shared with the journal -----------------------------------------------------------------

    def _insert(self, db: sqlite3.Connection, message: Message) -> None:
        values = {
            "id": message.id,
            "conversation_id": message.conversation_id,
            "parent_id": message.parent_id,
            "role": message.role,
            "created_at": message.created_at,
            "owner": self._app.id if message.state in BEING_WRITTEN else None,
        }
        values |= {name: message_column(name, getattr(message, name)) for name in _CHANGEABLE}
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        try:
            db.execute(f"INSERT INTO messages ({names}) VALUES ({marks})", values)
        except sqlite3.IntegrityError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
                raise NotFound(kind="conversation", name=message.conversation_id) from exc
            raise BadInput(reason=Reason("errors.reason.exists", id=message.id)) from exc
        index_message(db, message.id)
        link_files(db, message)

    def _touch(self, db: sqlite3.Connection, conversation_id: str, head_id: str | None) -> None:
        db.execute(
            "UPDATE conversations SET updated_at = ?, head_id = coalesce(?, head_id) WHERE id = ?",
            (self._clock(), head_id, conversation_id),
        )


def message_column(name: str, value: Any) -> Any:
    if name == "content":
        return clean(value)
    if name == "provenance":
        return to_json(value.stored())
    if name == "error":
        return None if value is None else to_json(value)
    if name == "token_ids":
        return pack_ids(value) if value else None
    return int(value) if name == "excluded" else value


def _read_up(db: sqlite3.Connection, start: str | None, limit: int | None) -> list[Message]:
    if start is None or limit == 0:
        return []
    rows = db.execute(_UPWARD, {"start": start, "limit": -1 if limit is None else limit}).fetchall()
    return _read_all(db, rows)


def _read_all(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[Message]:
    messages = []
    for row in rows:
        message = read_message(row, row["version"], row["versions"])
        messages.append(_with_journal(db, message) if row["owner"] is not None else message)
    return messages


def _with_journal(db: sqlite3.Connection, message: Message) -> Message:
    text, ids = journalled(db, message.id)
    return replace(message, content=message.content + text, token_ids=message.token_ids + ids)


def journalled(db: sqlite3.Connection, message_id: str) -> tuple[str, tuple[int, ...]]:
    """Return the text and token ids that wait in the journal of a message."""
    rows = db.execute(
        "SELECT text, token_ids FROM journal WHERE message_id = ? ORDER BY seq", (message_id,)
    ).fetchall()
    return "".join(row["text"] for row in rows), unpack_ids(b"".join(row["token_ids"] for row in rows))


def index_message(db: sqlite3.Connection, message_id: str) -> None:
    """Make a finished message findable."""
    row = db.execute(
        "SELECT n, content FROM messages WHERE id = ? AND owner IS NULL AND NOT indexed AND content != ''",
        (message_id,),
    ).fetchone()
    if row is not None:
        search.index(db, "message_words", row["n"], row["content"])
        db.execute("UPDATE messages SET indexed = 1 WHERE n = ?", (row["n"],))


def unindex_message(db: sqlite3.Connection, message_id: str) -> None:
    """Take a message out of the search before its text changes."""
    row = db.execute("SELECT n, content FROM messages WHERE id = ? AND indexed", (message_id,)).fetchone()
    if row is not None:
        search.unindex(db, "message_words", row["n"], row["content"])
        db.execute("UPDATE messages SET indexed = 0 WHERE n = ?", (row["n"],))
