"""Stored values that a dataclass of the writer knows."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known_values(kind: type[Any], values: Mapping[str, object]) -> dict[str, Any]:
    """Return of stored values those that a dataclass has a field for; another version may have more."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
