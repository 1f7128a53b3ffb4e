"""What an answer's schema asks of engines and answers: keywords that are refused, and validity.

Validity is checked by the `jsonschema` library on the text as it came, never assumed because a grammar held
the engine. Derives no schema and reads no rows.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from twokeys.answer_schema import AnswerSchema as AnswerSchema
from twokeys.answer_schema import SchemaOrigin as SchemaOrigin
from twokeys.errors import BadInput, BadSchema, Reason, SchemaRefused
from twokeys.grammar.json_schema import RefusedKeyword as RefusedKeyword
from twokeys.grammar.json_schema import schema_grammar
from twokeys.types import CUT_REASONS, Message, PartRecord, Settings

ValidityState = Literal["valid", "invalid", "cut"]
MOST_REASONS = 5
PATTERN_SECONDS = 1.0
"""How long one pattern may look at a text: the schema of an imported conversation may hold a hostile one."""

UNASKED = "patternProperties"

CHECKED_FORMATS = ("date", "uuid", "email", "ipv4")
"""Formats that are asserted: those that engines are held to and the library can check by itself."""


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """Where an answer does not hold to its schema.

    place: as a JSON path, `$.rows[3].price`; "$" for the whole. keyword: of the schema, "json" where the
    text is no JSON. message: the library's sentence, in English.
    """

    place: str
    keyword: str
    message: str


@dataclass(frozen=True, slots=True)
class Validity:
    """Whether an answer is what its schema says. A cut answer is never valid. reasons: the first ones."""

    state: ValidityState
    reasons: tuple[SchemaFault, ...] = ()

    @property
    def valid(self) -> bool:
        return self.state == "valid"

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        reasons = [
            {"place": fault.place, "keyword": fault.keyword, "message": fault.message}
            for fault in self.reasons
        ]
        return {"state": self.state, "reasons": reasons}


def refused_keywords(schema: AnswerSchema) -> tuple[RefusedKeyword, ...]:
    """Return the keywords that no engine can be held to, each with its place in the schema."""
    return schema_grammar(schema.value).refused


def check_honoured(schema: AnswerSchema) -> None:
    """Raise SchemaRefused, with every keyword and its place, where there are any that are refused.

    Raises BadSchema for what came from elsewhere and is none.
    """
    schema.check()
    refused = refused_keywords(schema)
    if refused:
        named = ", ".join(f"{entry.keyword} ({entry.place})" for entry in refused)
        raise SchemaRefused(name=schema.name, keywords=named)


def check_begun(schema: AnswerSchema, text: str) -> None:
    """Raise BadInput where no answer by the schema begins with `text`."""
    if schema_grammar(schema.value).grammar.after(text) is None:
        raise BadInput(reason=Reason("errors.reason.not_by_schema"))


def schema_of(known: PartRecord) -> AnswerSchema | None:
    """Return the schema that a question or an answer was asked with; None without, or where it is broken."""
    if known.answer_schema is None:
        return None
    try:
        return AnswerSchema.from_dict(known.answer_schema)
    except BadSchema:
        return None


def asked_settings(settings: Settings, question: Message) -> Settings:
    """Return the settings with the schema that the question itself was asked with, where it has one."""
    schema = schema_of(question.provenance)
    return settings if schema is None else replace(settings, answer_schema=schema)


def answer_validity(answer: Message) -> Validity | None:
    """Return whether a stored answer is valid; None where it was asked for in no form."""
    schema = schema_of(answer.provenance)
    return None if schema is None else validity(answer.content, schema, answer.finish_reason)


def validity(text: str, schema: AnswerSchema, finish_reason: str | None = None) -> Validity:
    """Return whether `text` is valid. finish_reason: how the answer ended; see types.CUT_REASONS."""
    if finish_reason in CUT_REASONS:
        return Validity("cut")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        return Validity("invalid", (SchemaFault("$", "json", str(exc)),))
    try:
        schema.check()
    except BadSchema as exc:
        return Validity("invalid", (SchemaFault("$", "schema", str(exc)),))
    if UNASKED in schema.document and any(entry.keyword == UNASKED for entry in refused_keywords(schema)):
        # no answer was ever asked for by it, and its patterns would be searched without a limit
        return Validity("invalid", (SchemaFault("$", UNASKED, f"{UNASKED} is not honoured"),))
    faults = tuple(_faults(value, schema.value))
    return Validity("invalid", faults) if faults else Validity("valid")


def _faults(value: object, schema: dict[str, Any]) -> Iterable[SchemaFault]:
    from itertools import islice

    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.validators import extend, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # an empty registry: nothing is fetched, whatever the schema refers to
    draft = validator_for(schema, default=Draft202012Validator)
    checker = extend(draft, {"pattern": _pattern_faults})  # type: ignore[no-untyped-call]
    validator = checker(schema, registry=Registry(), format_checker=FormatChecker(CHECKED_FORMATS))
    try:
        for error in islice(validator.iter_errors(value), MOST_REASONS):
            yield SchemaFault(error.json_path, str(error.validator), error.message)
    except Unresolvable as exc:
        yield SchemaFault("$", "$ref", str(exc))


def _pattern_faults(_: object, pattern: str, value: object, __: object) -> Iterable[Exception]:
    import regex
    from jsonschema import ValidationError

    if not isinstance(value, str):
        return
    try:
        if regex.search(pattern, value, timeout=PATTERN_SECONDS) is None:
            yield ValidationError(f"{value!r} does not match {pattern!r}")
    except TimeoutError:
        yield ValidationError(f"{pattern!r} took too long to look at {value!r}")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
