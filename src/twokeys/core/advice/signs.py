"""The patterns by which the coach reads a draft, from signs.toml, compiled once."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal


@cache
def signs(table: Literal["aspect", "action", "sign"]) -> Mapping[str, re.Pattern[str]]:
    """Return the patterns of one table of signs.toml by their names, in its order."""
    text = files(__package__).joinpath("signs.toml").read_text(encoding="utf-8")
    return {name: re.compile(pattern, re.IGNORECASE) for name, pattern in tomllib.loads(text)[table].items()}
