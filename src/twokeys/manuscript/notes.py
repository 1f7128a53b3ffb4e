"""Source notes from a person's files, by the readers that serve the message box too."""

from twokeys.core.writer.project import MAX_NOTES_CHARS
from twokeys.documents import read_document
from twokeys.errors import BadFile, Reason


def read_notes(data: bytes, name: str) -> str:
    """Return the text of a file of notes, headings and tables marked as in Markdown.

    Raises BadDocument for a file that cannot be read, BadFile for one with too much text.
    """
    text = read_document(data, name).text
    if len(text) > MAX_NOTES_CHARS:
        raise BadFile(name=name, reason=Reason("writing.error.field_too_long", limit=MAX_NOTES_CHARS))
    return text
