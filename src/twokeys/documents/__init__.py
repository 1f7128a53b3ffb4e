"""Documents a person hands in: read in a child process, as text with numbered passages.

Knows no screen, store or engine; counting tokens is the caller's business.
"""

from twokeys.documents.document import Document, Passage
from twokeys.documents.reader import KINDS, read_document, read_file

__all__ = ["KINDS", "Document", "Passage", "read_document", "read_file"]
