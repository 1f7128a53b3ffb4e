"""Small things that belong to no conversation: the app's settings, own presets and prompts, speeds."""

import json
import sqlite3
import statistics
from collections.abc import Mapping
from typing import Any

from twokeys.errors import BadInput, NotFound, Reason
from twokeys.store.base import Stored
from twokeys.store.coding import clean, to_json
from twokeys.types import AnswerSchema, EngineSpeed, Preset, SavedPrompt

MAX_PRESET_NAME = 80
SPEED_SAMPLES = 20
"""How many of the latest answers of a model its speed is the median of."""


class SettingsShelf(Stored):
    """Settings by key, presets and prompts by name, speeds by model.

    A setting of one conversation, document or message ends in a dot and its id; it goes with it.
    """

    # -- settings of the app ---------------------------------------------------------------------

    def get_setting(self, key: str, default: object = None) -> Any:
        """Return the JSON value stored under a key, or `default`."""
        with self._db.read() as db:
            row = db.execute("SELECT value FROM app_settings WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_setting(self, key: str, value: object) -> None:
        """Store a JSON value under a key."""
        with self._db.write() as db:
            db.execute(
                "INSERT INTO app_settings (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, to_json(value)),
            )

    def delete_setting(self, key: str) -> None:
        """Forget a key; no error when it is not there."""
        with self._db.write() as db:
            db.execute("DELETE FROM app_settings WHERE key = ?", (key,))

    # -- presets ---------------------------------------------------------------------------------

    def list_presets(self) -> list[Preset]:
        """Return a person's own presets in the order they were made."""
        with self._db.read() as db:
            rows = db.execute("SELECT name, data FROM presets ORDER BY n").fetchall()
        return [_read_preset(row) for row in rows]

    def save_preset(self, preset: Preset) -> None:
        """Store an own preset, replacing the one of that name. Raises BadInput for an unusable name."""
        name = preset_name(preset.name)
        data = {
            "changes": dict(preset.changes),
            "clear_after_answer": preset.clear_after_answer,
            "system_prompt": preset.system_prompt,
            "evidence": preset.evidence,
            "answer_schema": preset.answer_schema and preset.answer_schema.to_dict(),
        }
        with self._db.write() as db:
            db.execute(
                "INSERT INTO presets (name, data) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET data = excluded.data",
                (name, to_json(data)),
            )

    def rename_preset(self, old: str, new: str) -> None:
        """Rename an own preset. Raises NotFound; BadInput when the new name is taken or unusable."""
        name = preset_name(new)
        with self._db.write() as db:
            try:
                changed = db.execute("UPDATE presets SET name = ? WHERE name = ?", (name, old)).rowcount
            except sqlite3.IntegrityError as exc:
                raise BadInput(reason=Reason("errors.reason.preset_taken", name=name)) from exc
        if not changed:
            raise NotFound(kind="preset", name=old)

    def delete_preset(self, name: str) -> None:
        """Delete an own preset. Raises NotFound."""
        with self._db.write() as db:
            changed = db.execute("DELETE FROM presets WHERE name = ?", (name,)).rowcount
        if not changed:
            raise NotFound(kind="preset", name=name)

    # -- prompts ---------------------------------------------------------------------------------

    def list_prompts(self) -> list[SavedPrompt]:
        """Return a person's own prompts in the order they were made."""
        with self._db.read() as db:
            rows = db.execute("SELECT name, data FROM prompts ORDER BY n").fetchall()
        return [_read_prompt(row) for row in rows]

    def save_prompt(self, prompt: SavedPrompt, instead_of: str | None) -> None:
        """Store a prompt in the place of the one named `instead_of`, else of the one of its own name."""
        text = {
            "text": clean(prompt.text),
            "changes": dict(prompt.changes),
            "system_prompt": prompt.system_prompt,
            "answer_schema": prompt.answer_schema and prompt.answer_schema.to_dict(),
        }
        with self._db.write() as db:
            if instead_of is not None:
                db.execute("UPDATE prompts SET name = ? WHERE name = ?", (prompt.name, instead_of))
            db.execute(
                "INSERT INTO prompts (name, data) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET data = excluded.data",
                (prompt.name, to_json(text)),
            )

    def delete_prompt(self, name: str) -> None:
        """Delete an own prompt, if there is one of this name."""
        with self._db.write() as db:
            db.execute("DELETE FROM prompts WHERE name = ?", (name,))

    # -- speeds ----------------------------------------------------------------------------------

    def record_speed(self, model: str, tok_per_s: float, prompt_tok_per_s: float | None = None) -> None:
        """Note how fast an answer was, in tokens per second."""
        with self._db.write() as db:
            db.execute(
                "INSERT INTO engine_speeds (model, tok_per_s, prompt_tok_per_s, created_at) "
                "VALUES (?, ?, ?, ?)",
                (model, tok_per_s, prompt_tok_per_s, self._clock()),
            )
            db.execute(
                """
                DELETE FROM engine_speeds WHERE model = :model AND n NOT IN
                    (SELECT n FROM engine_speeds WHERE model = :model ORDER BY n DESC LIMIT :kept)
                """,
                {"model": model, "kept": SPEED_SAMPLES},
            )

    def speed(self, model: str) -> EngineSpeed | None:
        """Return how fast a model has been here, or None when it never answered."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT tok_per_s, prompt_tok_per_s FROM engine_speeds WHERE model = ?", (model,)
            ).fetchall()
        if not rows:
            return None
        prompts = [row["prompt_tok_per_s"] for row in rows if row["prompt_tok_per_s"] is not None]
        return EngineSpeed(
            model=model,
            tok_per_s=statistics.median(row["tok_per_s"] for row in rows),
            prompt_tok_per_s=statistics.median(prompts) if prompts else None,
            samples=len(rows),
        )


def preset_name(name: str) -> str:
    """Return the name as it is kept. Raises BadInput when it is empty, too long or not one line."""
    cleaned = clean(name).strip()
    if not cleaned or len(cleaned) > MAX_PRESET_NAME or not cleaned.isprintable():
        raise BadInput(reason=Reason("errors.reason.preset_name", most=MAX_PRESET_NAME))
    return cleaned


def _read_prompt(row: sqlite3.Row) -> SavedPrompt:
    data = json.loads(row["data"])
    return SavedPrompt(row["name"], data["text"], data["changes"], data["system_prompt"], _read_schema(data))


def _read_preset(row: sqlite3.Row) -> Preset:
    data = json.loads(row["data"])
    return Preset(
        row["name"],
        "own",
        data["changes"],
        data["clear_after_answer"],
        data["system_prompt"],
        data.get("evidence", ""),
        _read_schema(data),
    )


def _read_schema(data: Mapping[str, Any]) -> AnswerSchema | None:
    schema = data.get("answer_schema")
    return AnswerSchema.from_dict(schema) if schema is not None else None
