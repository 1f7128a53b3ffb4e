"""What a server serves: a Streamlit script, the addresses of its pages and its looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twokeys.services import Services


@dataclass(frozen=True, slots=True)
class Site:
    """script: what Streamlit runs for each tab. pages: the parts of the address of all pages but the first.

    theme: Streamlit's options of that section, by their names without `theme.`. warm_up: called in a thread
    of its own once the server listens, to make ready what the first page needs.
    """

    script: Path
    pages: tuple[str, ...] = ()
    theme: Mapping[str, Any] = field(default_factory=dict)
    warm_up: "Callable[[Services], None] | None" = None
