"""Schemas that nobody has to write: of an example of the answer, and of a table's named columns.

Makes plain schemas in keywords that an engine's grammar knows; says not which are allowed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from twokeys.core.structured.reading import JsonValue, read_json
from twokeys.errors import BadInput, Reason

ColumnKind = Literal["text", "number", "yes_no", "date", "choice"]
MAX_TABLE_COLUMNS = 40
MAX_CHOICES = 100

_TYPES: Mapping[ColumnKind, str] = {
    "text": "string",
    "number": "number",
    "yes_no": "boolean",
    "date": "string",
    "choice": "string",
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column that a person names.

    choices: what a cell may hold where kind is "choice". may_be_empty: a cell may also be null, so that a
    model need not invent what the text does not say. Raises BadInput without a name or without choices.
    """

    name: str
    kind: ColumnKind = "text"
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", " ".join(self.name.split()))
        choices = dict.fromkeys(text for choice in self.choices if (text := choice.strip()))
        object.__setattr__(self, "choices", tuple(choices) if self.kind == "choice" else ())
        if not self.name:
            raise BadInput(reason=Reason("structured.problem.nameless"))
        if self.kind not in get_args(ColumnKind):
            raise BadInput(reason=Reason("structured.problem.kind", name=self.name))
        if self.kind == "choice" and not 0 < len(self.choices) <= MAX_CHOICES:
            raise BadInput(reason=Reason("structured.problem.choices", name=self.name, most=MAX_CHOICES))


def table_schema(columns: Sequence[TableColumn]) -> dict[str, Any]:
    """Return the schema of a list of such objects. Raises BadInput for none, too many, the same twice."""
    if not columns:
        raise BadInput(reason=Reason("structured.problem.no_columns"))
    if len(columns) > MAX_TABLE_COLUMNS:
        raise BadInput(reason=Reason("structured.problem.too_many_columns", most=MAX_TABLE_COLUMNS))
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(reason=Reason("structured.problem.twice", name=name))
    return {"type": "array", "items": _object({column.name: _cell_schema(column) for column in columns})}


def table_columns(schema: Mapping[str, object]) -> tuple[TableColumn, ...] | None:
    """Return the columns that `table_schema` makes this very schema of, None for any other."""
    items = schema.get("items")
    properties = items.get("properties") if isinstance(items, Mapping) else None
    if not isinstance(properties, Mapping):
        return None
    try:
        columns = tuple(_column_of(str(name), cell) for name, cell in properties.items())
        return columns if table_schema(columns) == schema else None
    except (BadInput, TypeError, AttributeError):
        return None


def schema_of_example(text: str) -> dict[str, Any]:
    """Return the schema of answers like the example: its members all required, no others allowed.

    Elements of a list share one schema: a member that only some have may be missing, one that is null
    somewhere may be null. Texts that are dates everywhere stay dates. Raises BadInput where the text is not
    JSON, or a list in it is empty, as nothing can be learned of that.
    """
    reading = read_json(text)
    if not text.strip() or not reading.complete:
        raise BadInput(reason=Reason("structured.problem.example_not_json"))
    if not isinstance(reading.value, list | dict) or not reading.value:
        raise BadInput(reason=Reason("structured.problem.example_plain"))
    return _schema_of([reading.value])


def _object(properties: Mapping[str, object], required: Sequence[str] | None = None) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def _cell_schema(column: TableColumn) -> dict[str, object]:
    if column.kind == "choice":
        return {"enum": [*column.choices, *([None] if column.may_be_empty else [])]}
    kind = _TYPES[column.kind]
    schema: dict[str, Any] = {"type": [kind, "null"] if column.may_be_empty else kind}
    return schema | ({"format": "date"} if column.kind == "date" else {})


def _column_of(name: str, cell: Mapping[str, Any]) -> TableColumn:
    if "enum" in cell:
        choices = [choice for choice in cell["enum"] if isinstance(choice, str)]
        return TableColumn(name, "choice", tuple(choices), None in cell["enum"])
    types = cell.get("type")
    empty = isinstance(types, list)
    kind = types[0] if isinstance(types, list) and types else types
    if kind == "string" and cell.get("format") == "date":
        return TableColumn(name, "date", may_be_empty=empty)
    by_type: dict[object, ColumnKind] = {"string": "text", "number": "number", "boolean": "yes_no"}
    return TableColumn(name, by_type.get(kind, "text"), may_be_empty=empty)


def _schema_of(values: Sequence[JsonValue]) -> dict[str, object]:
    """Return the schema that all the values have."""
    kinds = sorted({_type_of(value) for value in values if value is not None})
    if kinds == ["integer", "number"]:
        kinds = ["number"]
    schemas = [_schema_of_kind(kind, [value for value in values if _is_of(value, kind)]) for kind in kinds]
    empty = any(value is None for value in values)
    if len(schemas) == 1 and not empty:
        return schemas[0]
    if all(schema.keys() <= {"type", "format"} for schema in schemas):
        types = [schema["type"] for schema in schemas] + (["null"] if empty else [])
        dates = {"format": "date"} if any("format" in schema for schema in schemas) else {}
        return {"type": types if len(types) > 1 else types[0]} | dates
    return {"anyOf": [*schemas, *([{"type": "null"}] if empty else [])]}


def _schema_of_kind(kind: str, values: Sequence[Any]) -> dict[str, object]:
    if kind == "object":
        names = dict.fromkeys(name for value in values for name in value)
        properties = {name: _schema_of([value[name] for value in values if name in value]) for name in names}
        return _object(properties, [name for name in names if all(name in value for value in values)])
    if kind == "array":
        items = [item for value in values for item in value]
        if not items:
            raise BadInput(reason=Reason("structured.problem.empty_list"))
        return {"type": "array", "items": _schema_of(items)}
    if kind == "string" and all(_is_date(value) for value in values):
        return {"type": "string", "format": "date"}
    return {"type": kind}


def _is_of(value: JsonValue, kind: str) -> bool:
    own = _type_of(value)
    return own == kind or (kind == "number" and own == "integer")


def _type_of(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
