"""What of an answer is a table, how many of its rows are whole, and the rows of several answers in one table.

A table is a list of objects, or an object whose only member is one. Draws nothing, writes no file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twokeys.core.structured.reading import JsonReading, JsonValue, read_json

Row = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """The table in an answer.

    columns: in the order of the schema, then as they first come. rows: the last one may be half written.
    whole: how many of them are whole. member: the name of the object's member that holds the rows, None where
    the answer is the list itself.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    whole: int
    member: str | None = None

    @property
    def whole_rows(self) -> tuple[Row, ...]:
        """The rows without one that is half written."""
        return self.rows[: self.whole]


@dataclass(frozen=True, slots=True)
class TableSource:
    """An answer whose rows are gathered: its number in the conversation, its id, text and schema."""

    number: int
    message_id: str
    text: str
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GatheredRow:
    """A row and the answer that it came from."""

    source: TableSource
    row: Row


@dataclass(frozen=True, slots=True)
class GatheredTable:
    """The whole rows of several answers. columns: of all of them, in the order in which they first come."""

    columns: tuple[str, ...]
    rows: tuple[GatheredRow, ...]

    @property
    def sources(self) -> int:
        """How many answers gave rows."""
        return len({gathered.source.message_id for gathered in self.rows})


def table_of(reading: JsonReading, schema: Mapping[str, object] | None = None) -> AnswerTable | None:
    """Return the table in what was read, None where it holds none.

    schema: what was asked for; it makes a table of an answer that has no row yet, and names its columns.
    """
    place = _place_in_schema(schema) if schema is not None else None
    value = reading.value
    member: str | None
    if place is not None:
        member = place.member
        items = value.get(member) if member is not None and isinstance(value, dict) else value
        items = [] if items is None or isinstance(items, dict) else items
    else:
        member, items = _place_in_value(value)
    if not isinstance(items, list):
        return None
    rows = [item for item in items if isinstance(item, dict)]
    if len(rows) < len(items) or (not rows and place is None):
        return None
    depth = 1 if member is None else 2
    half_written = not reading.complete and reading.open > depth and bool(rows)
    named = place.columns if place is not None else ()
    return AnswerTable(_names(rows, named), tuple(rows), len(rows) - (1 if half_written else 0), member)


def columns_of(schema: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the columns of the table that a schema asks for, None where it asks for something else."""
    place = _place_in_schema(schema)
    return place.columns if place is not None else None


def gather(sources: Iterable[TableSource]) -> GatheredTable:
    """Return the whole rows of all tables among the answers, each with its answer."""
    gathered: list[GatheredRow] = []
    named: dict[str, None] = {}
    for source in sources:
        table = table_of(read_json(source.text), source.schema)
        if table is None or not table.whole:
            continue
        named |= dict.fromkeys(table.columns)
        gathered.extend(GatheredRow(source, row) for row in table.whole_rows)
    return GatheredTable(tuple(named), tuple(gathered))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema has its rows, and how it names their columns."""

    member: str | None
    columns: tuple[str, ...]


def _place_in_schema(schema: Mapping[str, object]) -> _Place | None:
    columns = _item_names(schema)
    if columns is not None:
        return _Place(None, columns)
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) != 1:
        return None
    member, inner = next(iter(properties.items()))
    columns = _item_names(inner) if isinstance(inner, Mapping) else None
    return _Place(str(member), columns) if columns is not None else None


def _item_names(schema: Mapping[str, object]) -> tuple[str, ...] | None:
    items = schema.get("items")
    if schema.get("type") != "array" or not isinstance(items, Mapping) or items.get("type") != "object":
        return None
    properties = items.get("properties")
    return tuple(map(str, properties)) if isinstance(properties, Mapping) else ()


def _place_in_value(value: JsonValue) -> tuple[str | None, JsonValue]:
    if isinstance(value, dict) and len(value) == 1:
        member, inner = next(iter(value.items()))
        return member, inner
    return None, value


def _names(rows: Sequence[Row], named: tuple[str, ...]) -> tuple[str, ...]:
    names = dict.fromkeys(named)
    for row in rows:
        names |= dict.fromkeys(row)
    return tuple(names)
