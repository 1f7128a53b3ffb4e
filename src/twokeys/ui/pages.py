"""The pages of the app, by name, so that screens can link to each other without importing each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Pages = Mapping[str, Any]
"""Streamlit's page objects by the names of the screens."""


@dataclass(frozen=True, slots=True)
class Screen:
    """One page.

    name: of its texts (`ui.page.<name>`) and of its address. draw: draws it. place: the place of the row in
    the sidebar that it belongs to, which leads to the screen of the same name. icon: stands beside the name.
    """

    name: str
    draw: Callable[[Pages], None]
    place: str
    icon: str

    @property
    def is_place(self) -> bool:
        """Whether the sidebar's row leads here."""
        return self.name == self.place
