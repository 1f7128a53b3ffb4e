"""Documents that stand before a question: the text that is sent, and what is written down of them.

The question's message holds their text word for word; its provenance says which they are, and where the
person's own words begin. Counting tokens is the caller's business.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twokeys.documents.document import Document
from twokeys.types import Message, Provenance

DOCUMENTS = "documents"
"""The field of a provenance."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document to be sent. tokens: of its text as it is sent."""

    document: Document
    tokens: int

    def to_dict(self) -> dict[str, Any]:
        """Return what the provenance says of it."""
        document = self.document
        return {
            "name": document.name,
            "sha256": document.sha256,
            "tokens": self.tokens,
            "pages": document.numbers,
            "unit": document.unit,
        }


def sent_text(document: Document) -> str:
    """Return a document as the model reads it: its text between two marks that name it."""
    name = " ".join(document.name.replace('"', "'").split())
    return f'<document name="{name}">\n{document.text}\n</document>\n\n'


def with_documents(documents: Sequence[Document], question: str) -> str:
    """Return the message: the documents first, so that a second question finds them in the cache."""
    return "".join(sent_text(document) for document in documents) + question


def facts_of(attachments: Sequence[Attachment]) -> Provenance:
    """Return the provenance of a question with these attachments."""
    length = sum(len(sent_text(attachment.document)) for attachment in attachments)
    return Provenance(documents=tuple(attachment.to_dict() for attachment in attachments), question_at=length)


def documents_read(path: Sequence[Message], used: Collection[str]) -> list[Mapping[str, object]]:
    """Return what is known of the documents in the messages that the model reads."""
    return [
        document
        for message in path
        if message.role == "user" and message.id in used
        for document in message.provenance.documents
    ]
