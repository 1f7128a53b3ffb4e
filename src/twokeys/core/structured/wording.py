"""What is known of a structured answer in words: valid, cut off after so many rows, not valid because …

Chooses keys and fills in values; the texts are in i18n/texts/structured.toml.
"""

import re
from collections.abc import Sequence

from twokeys.core.structured.reading import read_json
from twokeys.core.structured.rows import AnswerTable, columns_of, table_of
from twokeys.core.structured.schema import AnswerSchema, SchemaFault, Validity
from twokeys.i18n import catalogue, translate

SAID_REASONS = 2
MOST_NAMED_COLUMNS = 4
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]")
_QUOTED = re.compile(r"'(.*?)'(?: is a required property| was unexpected)")
_SAME = {
    "exclusiveMinimum": "minimum",
    "exclusiveMaximum": "maximum",
    "oneOf": "anyOf",
    "allOf": "anyOf",
    "not": "anyOf",
    "const": "enum",
}
"""Keywords that are said like another one."""


def form_name(schema: AnswerSchema, language: str) -> str:
    """Return what is asked for: the names of a table's columns, else the schema's own name."""
    columns = columns_of(schema.value)
    if not columns:
        return schema.name
    comma = translate("structured.comma", language)
    named = comma.join(columns[:MOST_NAMED_COLUMNS])
    return named if len(columns) <= MOST_NAMED_COLUMNS else f"{named} …"


def verdict_text(text: str, schema: AnswerSchema, validity: Validity, language: str) -> str:
    """Return one sentence on whether an answer holds to its schema."""
    table = table_of(read_json(text), schema.value)
    if validity.state == "valid":
        return translate("structured.verdict.valid", language)
    if validity.state == "cut":
        return _cut(table, language)
    reasons = [fault_text(fault, table, language) for fault in validity.reasons[:SAID_REASONS]]
    more = " …" if len(validity.reasons) > SAID_REASONS else ""
    said = translate("structured.semicolon", language).join(reasons) + more
    return translate("structured.verdict.invalid", language, reasons=said)


def cut_text(
    text: str, schema: AnswerSchema, finish_reason: str, language: str, *, limit: int | None = None
) -> str:
    """Return what is said of an answer that was cut. limit: of tokens, where a limit cut it."""
    cut = _cut(table_of(read_json(text), schema.value), language)
    key = f"structured.why.{finish_reason}"
    if key not in catalogue() or (limit is None and "{limit" in catalogue()[key]["en"]):
        return translate("structured.cut", language, cut=cut)
    return translate("structured.cut_why", language, cut=cut, why=translate(key, language, limit=limit))


def fault_text(fault: SchemaFault, table: AnswerTable | None, language: str) -> str:
    """Return where and why an answer does not hold, in words; what has none is the library's own sentence."""
    keyword = _SAME.get(fault.keyword, fault.keyword)
    key = f"structured.fault.{keyword}"
    quoted = _QUOTED.search(fault.message)
    named = quoted[1] if quoted else ""
    what = translate(key, language, name=named) if key in catalogue() else fault.message
    place = _place(fault.place, table, language)
    return translate("structured.fault_at", language, place=place, what=what) if place else what


def _cut(table: AnswerTable | None, language: str) -> str:
    if table is None:
        return translate("structured.verdict.cut", language)
    return translate("structured.verdict.cut_rows", language, rows=table.whole)


def _place(path: str, table: AnswerTable | None, language: str) -> str:
    steps = [next(part for part in match.groups() if part is not None) for match in _STEP.finditer(path)]
    if table is not None and table.member is not None and steps[:1] == [table.member]:
        steps = steps[1:]
    if table is None or not steps or not steps[0].isdecimal():
        return _joined(steps, language)
    row = translate("structured.row", language, number=int(steps[0]) + 1)
    return translate("structured.comma", language).join(
        [row, *([_joined(steps[1:], language)] if steps[1:] else [])]
    )


def _joined(steps: Sequence[str], language: str) -> str:
    return translate("structured.quoted", language, name=" › ".join(steps)) if steps else ""
