"""Exporting a project in one of four formats."""

from twokeys.core.writer.view import ProjectView
from twokeys.errors import BadParameter
from twokeys.manuscript.manuscript import manuscript_of

FORMATS = ("md", "docx", "html", "txt")
MEDIA_TYPES = {
    "md": "text/markdown",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "txt": "text/plain",
}


def export_project(view: ProjectView, kind: str) -> bytes:
    """Return the document as the bytes of a file. Raises BadParameter for an unknown format."""
    document = manuscript_of(view)
    if kind == "md":
        from twokeys.manuscript.markdown import to_markdown

        return to_markdown(document).encode()
    if kind == "txt":
        from twokeys.manuscript.plain import to_plain

        return to_plain(document).encode()
    if kind == "html":
        from twokeys.manuscript.page import to_html

        return to_html(document).encode()
    if kind == "docx":
        from twokeys.manuscript.docx import to_docx

        return to_docx(document)
    raise BadParameter(field="format", value=kind, allowed=" | ".join(FORMATS))
