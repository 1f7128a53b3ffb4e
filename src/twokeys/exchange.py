"""Conversations as files, for whoever has the services: export and import in one place.

The formats themselves are the store's business.
"""

from collections.abc import Sequence

from twokeys.services import Services
from twokeys.store import exchange as formats


def export_json(services: Services, conversation_ids: Sequence[str] | None = None) -> str:
    """Return conversations (all when None) as our JSON, to be imported again. Raises NotFound."""
    return formats.export_json(services.repository, conversation_ids)


def export_markdown(services: Services, conversation_id: str, language: str) -> str:
    """Return a conversation as Markdown for people to read. Raises NotFound."""
    return formats.export_markdown(services.repository, conversation_id, language)


def export_markdown_zip(services: Services, language: str) -> bytes:
    """Return all conversations as a zip archive with one Markdown file each."""
    return formats.export_markdown_zip(services.repository, language)


def import_file(services: Services, data: bytes, name: str) -> int:
    """Store the conversations of our JSON or of ChatGPT's export; return how many they were.

    Raises BadFile, and stores nothing then.
    """
    return len(formats.import_file(services.repository, data, name).conversation_ids)
