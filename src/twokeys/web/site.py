"""What a server serves: a Streamlit script, the addresses of its pages and its looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Site:
    """script: what Streamlit runs for each tab. pages: the parts of the address of all pages but the first.

    theme: Streamlit's options of that section, by their names without `theme.`.
    """

    script: Path
    pages: tuple[str, ...] = ()
    theme: Mapping[str, Any] = field(default_factory=dict)
