"""Files of text: prose, Markdown, source code, CSV and TSV, JSON."""

import csv
import io
import json
import re

from twokeys.documents.document import Passage
from twokeys.documents.encoding import decode
from twokeys.documents.passages import numbered, passages_of_markdown
from twokeys.documents.refusal import Refusal
from twokeys.documents.table import markdown_table

_DELIMITERS = ",;\t|"
_BACKTICKS = re.compile("`{3,}")


def read_prose(data: bytes) -> tuple[list[Passage], str]:
    """Return a text as it is, split at its Markdown headings, and its encoding."""
    decoded = decode(data)
    return passages_of_markdown(decoded.text), decoded.encoding


def read_code(data: bytes, language: str) -> tuple[list[Passage], str]:
    """Return source code in one fence, and its encoding."""
    decoded = decode(data, declares=True)
    return numbered([("", fenced(decoded.text, language))]), decoded.encoding


def read_json(data: bytes, *, lines: bool = False) -> tuple[list[Passage], str]:
    """Return JSON word for word in a fence. lines: one value in each line.

    Raises Refusal "broken" where it is none.
    """
    decoded = decode(data)
    try:
        for value in decoded.text.splitlines() if lines else [decoded.text]:
            if value.strip() or not lines:
                json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise Refusal("broken", reason=str(exc)) from exc
    return numbered([("", fenced(decoded.text, "json"))]), decoded.encoding


def read_values(data: bytes, *, tabs: bool) -> tuple[list[Passage], str]:
    """Return comma- or tab-separated values as a table, and their encoding.

    A file named CSV may be separated by semicolons, tabs or bars: what its first line has most of.
    """
    decoded = decode(data)
    first = decoded.text.partition("\n")[0]
    delimiter = "\t" if tabs else max(_DELIMITERS, key=first.count)
    csv.field_size_limit(1 << 30)
    try:
        rows = list(csv.reader(io.StringIO(decoded.text), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        raise Refusal("broken", reason=str(exc)) from exc
    return numbered([("", markdown_table([row for row in rows if row]))]), decoded.encoding


def fenced(text: str, language: str = "") -> str:
    """Return text in a code fence that is longer than any within it."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    body = text.rstrip()
    return f"{fence}{language}\n{body}\n{fence}" if body.strip() else ""
