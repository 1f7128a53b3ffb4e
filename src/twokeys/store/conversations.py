"""Conversations without their messages: the list at the side of the page."""

import sqlite3
from dataclasses import replace
from typing import Any

from twokeys.errors import BadInput, NotFound, Reason
from twokeys.ids import new_id
from twokeys.store import search
from twokeys.store.base import Stored
from twokeys.store.coding import clean, read_conversation, to_json
from twokeys.types import ANYWHERE, Conversation, ConversationKind, SearchFilter

_CHANGEABLE = frozenset(
    {
        "title",
        "title_by",
        "pinned",
        "settings",
        "head_id",
        "resets",
        "history_after_reset",
        "updated_at",
        "tags",
        "archived",
    }
)


class ConversationStore(Stored):
    """Create, read, change, list, delete conversations."""

    def create_conversation(self, conversation: Conversation | None = None) -> Conversation:
        """Store a new conversation (an empty one when None is given) and return it.

        Raises BadInput when the id is taken.
        """
        now = self._clock()
        made = conversation or Conversation(id=new_id(), title="", created_at=now, updated_at=now)
        made = replace(made, title=clean(made.title))
        values = {"id": made.id, "created_at": made.created_at, "deleted_at": made.deleted_at}
        values["kind"] = made.kind
        values |= {name: _column(name, getattr(made, name)) for name in _CHANGEABLE}
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        with self._db.write() as db:
            try:
                db.execute(f"INSERT INTO conversations ({names}) VALUES ({marks})", values)
            except sqlite3.IntegrityError as exc:
                raise BadInput(reason=Reason("errors.reason.exists", id=made.id)) from exc
            _index_title(db, made.id)
        return made

    def get_conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation, a deleted one too (see `deleted_at`). Raises NotFound."""
        with self._db.read() as db:
            row = db.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
        if row is None:
            raise NotFound(kind="conversation", name=conversation_id)
        return read_conversation(row)

    def list_conversations(
        self,
        limit: int = 50,
        offset: int = 0,
        *,
        deleted: bool = False,
        kind: ConversationKind = "chat",
        wanted: SearchFilter = ANYWHERE,
    ) -> list[Conversation]:
        """Return conversations, pinned ones first, then the latest; `deleted` lists the bin instead."""
        with self._db.read() as db:
            rows = db.execute(
                f"""
                SELECT c.* FROM conversations c WHERE c.deleted_at IS {"NOT" if deleted else ""} NULL
                AND c.kind = :kind {search.CONVERSATION_WANTED}
                ORDER BY c.pinned DESC, c.updated_at DESC, c.n DESC LIMIT :limit OFFSET :offset
                """,
                {**search.filter_values(wanted), "kind": kind, "limit": limit, "offset": offset},
            ).fetchall()
        return [read_conversation(row) for row in rows]

    def count_conversations(self) -> int:
        """Return how many chats there are, without those in the bin."""
        with self._db.read() as db:
            row = db.execute(
                "SELECT count(*) FROM conversations WHERE deleted_at IS NULL AND kind = 'chat'"
            ).fetchone()
        return int(row[0])

    def tags_used(self) -> list[str]:
        """Return all tags of chats, the one that most conversations have first."""
        with self._db.read() as db:
            rows = db.execute(
                """
                SELECT t.value AS tag FROM conversations c, json_each(c.tags) t
                WHERE c.deleted_at IS NULL AND c.kind = 'chat'
                GROUP BY t.value ORDER BY count(*) DESC, t.value
                """
            ).fetchall()
        return [row["tag"] for row in rows]

    def update_conversation(self, conversation_id: str, **changes: object) -> Conversation:
        """Change some fields by the names of Conversation and return the result.

        `updated_at` (the place in the list) stays unless given: renaming or a slider is no news.
        Raises NotFound; BadInput for a field that cannot be changed.
        """
        unknown = set(changes) - _CHANGEABLE
        if unknown:
            raise BadInput(
                reason=Reason(
                    "errors.reason.fixed_fields",
                    names=", ".join(sorted(unknown)),
                )
            )
        values = {name: _column(name, value) for name, value in changes.items()}
        with self._db.write() as db:
            if "title" in changes:
                unindex_title(db, conversation_id)
            if values:
                assignments = ", ".join(f"{name} = :{name}" for name in values)
                db.execute(
                    f"UPDATE conversations SET {assignments} WHERE id = :id",
                    {**values, "id": conversation_id},
                )
            if "title" in changes:
                _index_title(db, conversation_id)
            return self.get_conversation(conversation_id)

    def delete_conversation(self, conversation_id: str) -> str:
        """Move a conversation to the bin; return a token for `undo`. Raises NotFound."""
        with self._db.write() as db:
            self.get_conversation(conversation_id)
            db.execute(
                "UPDATE conversations SET deleted_at = ? WHERE id = ?", (self._clock(), conversation_id)
            )
            return self._remember("conversation", id=conversation_id)

    # -- imports ---------------------------------------------------------------------------------

    def note_import(self, origin: str, conversation_id: str) -> None:
        """Note where a conversation came from; see Parcel.origin."""
        with self._db.write() as db:
            db.execute("INSERT OR IGNORE INTO imports VALUES (?, ?)", (clean(origin), conversation_id))

    def imported_as(self, origin: str) -> Conversation | None:
        """Return the conversation that came from there and is not in the bin; the newest of several."""
        with self._db.read() as db:
            row = db.execute(
                """
                SELECT c.* FROM conversations c LEFT JOIN imports i ON i.conversation_id = c.id
                WHERE (i.origin = :origin OR 'twokeys:' || c.id = :origin) AND c.deleted_at IS NULL
                ORDER BY c.n DESC LIMIT 1
                """,
                {"origin": clean(origin)},
            ).fetchone()
        return None if row is None else read_conversation(row)


def _column(name: str, value: Any) -> object:
    if name == "settings":
        return to_json(value.to_dict())
    if name == "tags":
        return to_json([clean(tag) for tag in value])
    if name == "resets":
        return to_json([mark.to_dict() for mark in value])
    if isinstance(value, bool):
        return int(value)
    return clean(value) if isinstance(value, str) else value


def _index_title(db: sqlite3.Connection, conversation_id: str) -> None:
    row = db.execute("SELECT n, title FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    if row is not None and row["title"]:
        search.index(db, "title_words", row["n"], row["title"])
        db.execute("UPDATE conversations SET indexed = 1 WHERE n = ?", (row["n"],))


def unindex_title(db: sqlite3.Connection, conversation_id: str) -> None:
    """Take a title out of the search."""
    row = db.execute(
        "SELECT n, title FROM conversations WHERE id = ? AND indexed", (conversation_id,)
    ).fetchone()
    if row is not None:
        search.unindex(db, "title_words", row["n"], row["title"])
        db.execute("UPDATE conversations SET indexed = 0 WHERE n = ?", (row["n"],))
