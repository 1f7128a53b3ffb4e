"""Forms on the command line: a schema file, `/json`, `/table`, and what is said of an answer in a form."""

from pathlib import Path
from typing import TYPE_CHECKING

from twokeys.core.structured.command import ANY_OBJECT, NO_FORM
from twokeys.core.structured.schema import (
    AnswerSchema,
    answer_validity,
    check_honoured,
    schema_of,
)
from twokeys.errors import BadFile

if TYPE_CHECKING:
    from twokeys.cli.output import Output
    from twokeys.types import Message


def schema_of_file(path: Path) -> AnswerSchema:
    """Return the schema of a file, named like it. Raises BadFile, BadSchema, SchemaRefused."""
    path = path.expanduser()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
        raise BadFile(name=str(path), reason=reason) from exc
    schema = AnswerSchema.from_text(text, path.stem)
    check_honoured(schema)
    return schema


def asked_form(argument: str) -> AnswerSchema | None:
    """Return what `/json` and `--schema` ask for: a file's schema, any object for "", None for "off"."""
    if argument in NO_FORM:
        return None
    if not argument:
        return ANY_OBJECT
    return schema_of_file(Path(argument))


def validity_dict(message: "Message") -> dict[str, object] | None:
    """Return whether an answer is valid as `--json` says it; None where no form was asked for."""
    validity, schema = answer_validity(message), schema_of(message.provenance)
    return None if validity is None or schema is None else {"schema": schema.name, **validity.to_dict()}


def validity_line(message: "Message", out: "Output") -> tuple[str, str] | None:
    """Return the sentence on whether an answer is valid, and its colour; None where no form was asked for."""
    from twokeys.core.structured.wording import verdict_text

    validity, schema = answer_validity(message), schema_of(message.provenance)
    if validity is None or schema is None:
        return None
    verdict = verdict_text(message.content, schema, validity, out.language)
    text = out.text("chat.validity", name=schema.name, verdict=verdict)
    return text, "green" if validity.valid else "yellow"
