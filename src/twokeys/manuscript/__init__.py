"""A written project as a document: Markdown, HTML, DOCX, plain text; and source notes from files.

Built of a `ProjectView`; knows no store and no engine.
"""

from twokeys.manuscript.export import FORMATS, MEDIA_TYPES, export_project
from twokeys.manuscript.notes import read_notes

__all__ = ["FORMATS", "MEDIA_TYPES", "export_project", "read_notes"]
