"""A JSON answer as far as it is written: half of one reads as well as a whole one, and nothing is raised.

Knows no schema, so it does not say whether an answer is what was asked for.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PLACE = re.compile(r"line (\d+) column (\d+)$")


@dataclass(frozen=True, slots=True)
class JsonReading:
    """What a text holds as JSON.

    value: as far as it goes, None where nothing can be read yet. complete: the whole text is JSON.
    broken: what follows the value can never become JSON, however the text goes on. open: how many lists and
    objects are not closed yet.
    """

    value: JsonValue = None
    complete: bool = False
    broken: bool = False
    open: int = 0


def read_json(text: str) -> JsonReading:
    """Return what the text holds. Numbers beyond a double, and their like, read as Python reads them."""
    from pydantic_core import from_json

    data = text.encode("utf-8", "replace")
    try:
        return JsonReading(from_json(data, allow_inf_nan=False), complete=True)
    except ValueError:
        pass
    try:
        value = from_json(data, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError as error:
        return _read_to(data, str(error))
    open_count = _open_count(text)
    # a value that is closed, and yet not the end: more follows that does not belong to it
    broken = open_count == 0 and isinstance(value, list | dict)
    return JsonReading(value, broken=broken, open=open_count)


def _read_to(data: bytes, problem: str) -> JsonReading:
    """Read up to the place that an error names; where it names the end, the text has only just begun."""
    from pydantic_core import from_json

    place = _PLACE.search(problem)
    if place is None:
        return JsonReading(broken=True)
    line, column = int(place[1]), int(place[2])
    before = sum(len(part) + 1 for part in data.split(b"\n")[: line - 1])
    end = before + max(column - 1, 0)
    if problem.startswith("EOF"):
        return JsonReading()
    sound = data[:end]
    try:
        value = from_json(sound, allow_inf_nan=False, allow_partial=True)
    except ValueError:
        return JsonReading(broken=True)
    return JsonReading(value, broken=True, open=_open_count(sound.decode("utf-8", "replace")))


def _open_count(text: str) -> int:
    """Return how many brackets outside of strings are not closed."""
    bare = _STRING.sub("", text).partition('"')[0]
    opened = sum(bare.count(bracket) for bracket in "[{")
    return max(opened - sum(bare.count(bracket) for bracket in "]}"), 0)
