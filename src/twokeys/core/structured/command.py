"""`/table` and `/json` at the beginning of a message, as a person types them into the message box.

`/table name, price:number` asks for a table, `/json` for any object, `/json {…}` for JSON like an example or
by a schema; `off` takes the form off. A question may stand below: the form is then that message's alone.
Files are no matter of this module: the terminal's `/json FILE` is read in cli/forms.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twokeys.core.structured.columns import table_from_text
from twokeys.core.structured.derive import schema_of_example
from twokeys.core.structured.schema import AnswerSchema, check_honoured
from twokeys.errors import BadInput, Reason

NO_FORM = ("off", "-")
"""What takes a form off again."""
ANY_OBJECT = AnswerSchema.of({"type": "object"}, "JSON")
_BEGINNING = re.compile(r"\s*/(?P<kind>table|json)(?![^\s{\[])[ \t]*", re.IGNORECASE)
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_LISTS = ("anyOf", "oneOf", "allOf", "enum")


@dataclass(frozen=True, slots=True)
class FormCommand:
    """What was typed. schema: None takes the form off. question: "" where all further answers are meant."""

    schema: AnswerSchema | None
    question: str


def form_command(text: str) -> FormCommand | None:
    """Return what `/table` or `/json` at the beginning asks for; None for any other message.

    Raises BadInput, BadSchema and SchemaRefused for a form that cannot be.
    """
    match = _BEGINNING.match(text)
    if match is None:
        return None
    schema, question = (_json if match["kind"].lower() == "json" else _table)(text[match.end() :])
    if schema is not None:
        check_honoured(schema)
    return FormCommand(schema, question.strip())


def without_command(text: str) -> str:
    """Return the question alone, "" while nothing but a form has been typed; any other message as it is."""
    try:
        command = form_command(text)
    except BadInput:
        return ""
    return text if command is None else command.question


def command_part(text: str) -> str:
    """Return what stands before the question; "" where no form is asked for."""
    question = without_command(text)
    return text if not question else text.rstrip().removesuffix(question)


def _table(rest: str) -> tuple[AnswerSchema | None, str]:
    columns, _, question = rest.partition("\n")
    if columns.strip().lower() in NO_FORM:
        return None, question
    return table_from_text(columns), question


def _json(rest: str) -> tuple[AnswerSchema | None, str]:
    if rest.lstrip().startswith(("{", "[")):
        begun = rest.lstrip()
        try:
            value, end = json.JSONDecoder().raw_decode(begun)
        except (ValueError, RecursionError) as exc:
            raise BadInput(reason=Reason("structured.problem.example_not_json")) from exc
        return _form_of(value, begun[:end]), begun[end:]
    first, _, question = rest.partition("\n")
    if first.strip().lower() in NO_FORM:
        return None, question
    return ANY_OBJECT, rest


def _form_of(value: Any, text: str) -> AnswerSchema:
    if not _is_schema(value):
        return AnswerSchema.of(schema_of_example(text), "JSON", "example")
    title = value.get("title")
    return AnswerSchema.from_text(text, title if isinstance(title, str) and title else "JSON", "schema")


def _is_schema(value: object) -> bool:
    """Whether JSON is a schema rather than an example: it names types or members as schemas do."""
    if not isinstance(value, Mapping):
        return False
    types = value.get("type")
    if isinstance(types, str) and types in _TYPES:
        return True
    if isinstance(types, list) and types and all(isinstance(name, str) and name in _TYPES for name in types):
        return True
    members = value.get("properties")
    if isinstance(members, Mapping) and all(
        isinstance(member, Mapping | bool) for member in members.values()
    ):
        return True
    return "$schema" in value or "$ref" in value or any(isinstance(value.get(name), list) for name in _LISTS)
