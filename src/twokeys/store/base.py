"""What every part of the repository stands on: the database, the clock, this app's sign of life."""

import json
from collections.abc import Callable
from typing import Any

from twokeys.ids import new_id
from twokeys.store.coding import to_json
from twokeys.store.db import Database
from twokeys.store.locks import AppLock

Clock = Callable[[], float]


class Stored:
    """A part of the repository. clock gives Unix seconds."""

    def __init__(self, db: Database, app: AppLock, clock: Clock) -> None:
        self._db = db
        self._app = app
        self._clock = clock

    def _remember(self, kind: str, **data: object) -> str:
        """Note what an undo needs; return its token."""
        token = new_id()
        with self._db.write() as db:
            db.execute(
                "INSERT INTO undo (token, kind, data, created_at) VALUES (?, ?, ?, ?)",
                (token, kind, to_json(data), self._clock()),
            )
        return token

    def _recall(self, token: str) -> tuple[str, dict[str, Any]] | None:
        """Take the note of an undo; None when it was used or never there."""
        with self._db.write() as db:
            row = db.execute("DELETE FROM undo WHERE token = ? RETURNING kind, data", (token,)).fetchone()
        return None if row is None else (row["kind"], json.loads(row["data"]))
