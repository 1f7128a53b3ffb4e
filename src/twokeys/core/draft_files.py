"""The files of a message that is not sent yet: read, kept with the conversation, chosen from, counted.

They survive a reload and a restart. Sending them is the business of `answers.py`.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from twokeys.core.attachments import Attachment, sent_text
from twokeys.core.context_check import ContextCheck
from twokeys.core.ports import FileStore
from twokeys.documents import Document, read_document
from twokeys.documents.document import as_ranges, parse_ranges
from twokeys.errors import TwoKeysError
from twokeys.types import DraftFile, Message

NOTHING = "none"
"""The pages of a file of which none is chosen."""
REMEMBERED = 16
"""Documents that need not be read again."""


@dataclass(frozen=True, slots=True)
class DraftDocument:
    """A file that goes along with the next message. whole: all of it; document: what was chosen."""

    id: str
    whole: Document
    document: Document

    @property
    def is_whole(self) -> bool:
        return len(self.document.passages) == len(self.whole.passages)


@dataclass(frozen=True, slots=True)
class Counted:
    """Attachments with their tokens. exact False: estimated, no engine was running."""

    attachments: tuple[Attachment, ...]
    exact: bool

    @property
    def tokens(self) -> int:
        return sum(attachment.tokens for attachment in self.attachments)


class DraftFiles:
    """The files of messages that are not sent yet. Thread-safe. conversation_id None: the next comparison."""

    def __init__(self, files: FileStore, check: ContextCheck) -> None:
        self._files = files
        self._check = check
        self._documents: OrderedDict[tuple[str, str], Document] = OrderedDict()
        self._lock = threading.Lock()
        self._warming: Future[object] | None = None

    def add(self, conversation_id: str | None, name: str, data: bytes) -> DraftDocument:
        """Read a file and let it go along. Raises BadDocument, with nothing kept, NotFound or StoreError."""
        return self.keep(conversation_id, read_document(data, name), data)

    def keep(self, conversation_id: str | None, document: Document, data: bytes) -> DraftDocument:
        """Let a document go along that was read already, with the pages that are in it."""
        pages = "" if len(document.passages) == document.total else document.numbers or NOTHING
        file = self._files.add_draft(conversation_id, data, document.name, pages)
        if not pages:
            self._remember(document)
        return self._of(file)

    def waiting(self, conversation_id: str | None) -> list[DraftDocument]:
        """Return what goes along with the next message. A file that can no longer be read is left out."""
        drafts: list[DraftDocument] = []
        for file in self._files.drafts(conversation_id):
            try:
                drafts.append(self._of(file))
            except TwoKeysError:
                self._files.drop_drafts([file.id])
        return drafts

    def choose(self, draft_id: str, numbers: Sequence[int]) -> None:
        """Let only these pages of a file go along."""
        self._files.choose_pages(draft_id, as_ranges(numbers) or NOTHING)

    def drop(self, drafts: Sequence[DraftDocument]) -> None:
        """Let files go along no longer."""
        self._files.drop_drafts([draft.id for draft in drafts])

    def ask_again(self, question: Message, conversation_id: str | None) -> None:
        """Let the files of a stored question go along with the next message of a conversation.

        Raises NotFound when one is not here, as after an import without it.
        """
        for known in question.provenance.documents:
            data = self._files.read(str(known["sha256"]))
            self._files.add_draft(conversation_id, data, str(known["name"]), str(known.get("pages", "")))

    def original(self, sha256: str) -> bytes:
        """Return a kept file. Raises NotFound."""
        return self._files.read(sha256)

    def count(self, documents: Sequence[Document], *, start: bool = False) -> Counted:
        """Return the documents with the tokens of their text as it is sent. start: start the engine."""
        counts = self._check.count_texts([sent_text(document) for document in documents], start=start)
        pairs = zip(documents, counts.tokens, strict=True)
        return Counted(tuple(Attachment(document, tokens) for document, tokens in pairs), counts.exact)

    @property
    def warming_up(self) -> bool:
        """Whether the engine is being started so that it counts."""
        return self._warming is not None and not self._warming.done()

    def warm_up(self) -> None:
        """Start the engine, if it is not running, without waiting: it will be asked soon."""
        if not self.warming_up:
            self._warming = self._check.warm_up()

    def take_warmed_up(self) -> bool:
        """Return whether a start that was asked for has ended, once."""
        ended = self._warming is not None and self._warming.done()
        if ended:
            self._warming = None
        return ended

    def passage_tokens(self, document: Document) -> tuple[int, ...]:
        """Return the tokens of each passage, in their order."""
        return self._check.count_texts([document.marked(passage) for passage in document.passages]).tokens

    def _of(self, file: DraftFile) -> DraftDocument:
        whole = self._read(file)
        numbers = () if file.pages == NOTHING else parse_ranges(file.pages) if file.pages else None
        return DraftDocument(file.id, whole, whole if numbers is None else whole.only(numbers))

    def _read(self, file: DraftFile) -> Document:
        key = (file.sha256, file.name)
        with self._lock:
            if key in self._documents:
                self._documents.move_to_end(key)
                return self._documents[key]
        document = read_document(self._files.read(file.sha256), file.name)
        self._remember(document)
        return document

    def _remember(self, document: Document) -> None:
        with self._lock:
            self._documents[(document.sha256, document.name)] = document
            while len(self._documents) > REMEMBERED:
                self._documents.popitem(last=False)
