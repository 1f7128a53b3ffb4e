"""Columns of a table as a person types them: `name, price:number, due?:date, state:choice(open|paid)`.

Commas and colons may be Chinese, and so may the words of the types. Makes the columns; their schema is
made in `derive.py`.
"""

import re
from collections.abc import Mapping
from typing import get_args

from twokeys.core.structured.derive import ColumnKind, TableColumn, table_schema
from twokeys.core.structured.schema import AnswerSchema
from twokeys.errors import BadInput, Reason

_WORDS: Mapping[str, ColumnKind] = {
    **{kind: kind for kind in get_args(ColumnKind)},
    **dict.fromkeys(("string", "文本", "文字"), "text"),
    **dict.fromkeys(("int", "integer", "float", "数字", "数值", "金额"), "number"),
    **dict.fromkeys(("bool", "boolean", "yes/no", "是否"), "yes_no"),
    "日期": "date",
    **dict.fromkeys(("enum", "选项"), "choice"),
}
_COLUMN = re.compile(r"\s*(?P<name>[^:：?？]+?)\s*(?P<empty>[?？]?)\s*(?:[:：]\s*(?P<type>.*?))?\s*")
_TYPE = re.compile(r"(?P<word>[^(（]*?)\s*(?:[(（](?P<choices>.*)[)）])?")
_COMMA = re.compile(r"[,，、](?![^(（]*[)）])")
"""A comma outside of brackets."""


def columns_from_text(text: str) -> tuple[TableColumn, ...]:
    """Return the columns. Raises BadInput for one without a name or of an unknown type."""
    return tuple(_column(part) for part in _COMMA.split(text) if part.strip())


def table_from_text(text: str) -> AnswerSchema:
    """Return the schema of a table with these columns. Raises BadInput for none, or odd ones."""
    columns = columns_from_text(text)
    name = ", ".join(column.name for column in columns)
    return AnswerSchema.of(table_schema(columns), name, "table")


def _column(part: str) -> TableColumn:
    match = _COLUMN.fullmatch(part)
    if match is None:
        raise BadInput(reason=Reason("structured.problem.nameless"))
    typed = _TYPE.fullmatch((match["type"] or "text").strip())
    word = typed["word"].lower() if typed is not None else ""
    empty = bool(match["empty"]) or word.endswith(("?", "？"))
    kind = _WORDS.get(word.rstrip("?？"))
    if kind is None:
        raise BadInput(reason=Reason("structured.problem.kind", name=match["name"]))
    choices = re.split(r"[|/｜]", typed["choices"]) if typed is not None and typed["choices"] else ()
    return TableColumn(match["name"], kind, tuple(choices), empty)
