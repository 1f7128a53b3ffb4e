"""The form that an answer is asked to have: a JSON schema, with its name and where it came from.

A value that is stored, exported and sent; it holds its JSON as text, so that it is the same byte for byte
wherever it is kept. What an engine can hold to is in `grammar`, whether an answer is valid in
`core/structured`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from twokeys.errors import BadSchema, Reason

SchemaOrigin = Literal["schema", "example", "table"]
ORIGINS: tuple[SchemaOrigin, ...] = get_args(SchemaOrigin)

MAX_SCHEMA_CHARS = 200_000
MAX_NAME_CHARS = 60
DEFAULT_NAME = "answer"


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A JSON schema as it is kept.

    document: its JSON, an object. name: what people call it. origin: a schema of one's own, one derived
    from an example, or the columns of a table. Use `from_text` for what a person or a file brings.
    """

    document: str
    name: str = DEFAULT_NAME
    origin: SchemaOrigin = "schema"

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise BadSchema(name=self.name, reason=f"origin: {self.origin}")

    @property
    def value(self) -> dict[str, Any]:
        """The schema as JSON values; each call makes new ones."""
        value: dict[str, Any] = json.loads(self.document)
        return value

    @classmethod
    def from_text(cls, text: str, name: str = DEFAULT_NAME, origin: SchemaOrigin = "schema") -> Self:
        """Read a schema. Raises BadSchema for what is no JSON, no object, too long or no JSON schema."""
        schema = cls._read(text, name, origin)
        schema.check()
        return schema

    @classmethod
    def _read(cls, text: str, name: str, origin: SchemaOrigin) -> Self:
        name = " ".join(name.split())[:MAX_NAME_CHARS] or DEFAULT_NAME
        if len(text) > MAX_SCHEMA_CHARS:
            raise BadSchema(name=name, reason=Reason("errors.reason.schema_long", most=MAX_SCHEMA_CHARS))
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise BadSchema(name=name, reason=str(exc)) from exc
        if not isinstance(value, dict):
            raise BadSchema(name=name, reason=Reason("errors.reason.schema_object"))
        return cls(json.dumps(value, ensure_ascii=False, separators=(",", ":")), name, origin)

    def check(self) -> None:
        """Raise BadSchema where it is an object, but no JSON schema."""
        _check(self.value, self.name)

    @classmethod
    def of(
        cls, value: Mapping[str, object], name: str = DEFAULT_NAME, origin: SchemaOrigin = "schema"
    ) -> Self:
        """Return the schema of JSON values. Raises BadSchema."""
        return cls.from_text(json.dumps(value, ensure_ascii=False), name, origin)

    def to_dict(self) -> dict[str, str]:
        """Return JSON-ready values by the names of the fields."""
        return {"document": self.document, "name": self.name, "origin": self.origin}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Build from what `to_dict` gives; that it is a schema is not checked again. Raises BadSchema."""
        origin = values.get("origin", "schema")
        return cls._read(
            str(values.get("document", "")),
            str(values.get("name", DEFAULT_NAME)),
            origin if origin in ORIGINS else "schema",
        )


def _check(value: dict[str, Any], name: str) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(value, default=Draft202012Validator).check_schema(value)
    except (SchemaError, RecursionError) as exc:
        problem = exc.message if isinstance(exc, SchemaError) else str(exc)
        place = exc.json_path if isinstance(exc, SchemaError) else "$"
        raise BadSchema(name=name, reason=f"{place}: {problem}") from exc
