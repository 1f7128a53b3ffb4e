"""A structured answer in a document: a Markdown table of its whole rows, other JSON as a block of code."""

import json
import re
from collections.abc import Mapping, Sequence

from twokeys.core.structured.reading import JsonValue, read_json
from twokeys.core.structured.rows import AnswerTable, table_of
from twokeys.core.structured.schema import schema_of
from twokeys.types import Message

_MEANS_SOMETHING = re.compile(r"([\\`*_<>|~$])")


def message_markdown(message: Message) -> str:
    """Return a message's own words; an answer that was asked for in a form as its table or JSON."""
    schema = schema_of(message.provenance) if message.role == "assistant" else None
    if schema is None or not message.content:
        return message.own_words
    return answer_markdown(message.content, schema.value)


def answer_markdown(text: str, schema: Mapping[str, object] | None = None) -> str:
    """Return an answer in JSON for people to read; what is half written of its last row is left out."""
    reading = read_json(text)
    table = table_of(reading, schema)
    if table is not None and table.columns:
        return table_markdown(table)
    shown = json.dumps(reading.value, ensure_ascii=False, indent=2) if reading.complete else text.strip()
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}json\n{shown}\n{fence}"


def table_markdown(table: AnswerTable) -> str:
    """Return the whole rows as a Markdown table."""
    lines = [_line(table.columns), "|" + "---|" * len(table.columns)]
    lines += [_line([row.get(name) for name in table.columns]) for row in table.whole_rows]
    return "\n".join(lines)


def _line(values: Sequence[JsonValue]) -> str:
    return "| " + " | ".join(map(_cell, values)) + " |"


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # brackets make links only before a parenthesis; a backslash before either would begin a formula
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(shown.split())).replace("](", "]&#40;")
