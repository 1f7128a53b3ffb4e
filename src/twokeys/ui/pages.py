"""The pages of the app, by name, so that screens can link to each other without importing each other."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Pages:
    """Streamlit's page objects."""

    chat: Any
    compare: Any
    writing: Any
    lab: Any
    handbook: Any
    conversations: Any
    models: Any
    memory: Any
    settings: Any


PATHS = tuple(field.name for field in fields(Pages) if field.name != "chat")
"""The parts of the address of all pages but the first, which has none."""
