"""What core asks of the parts it is given: the journal, the stores, the source of engines, watchers.

Only protocols: the composition root passes in what fulfils them. Knows no database and no server.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from twokeys.engine import Engine
from twokeys.types import (
    ANYWHERE,
    Answering,
    Conversation,
    DraftFile,
    GuardEvent,
    Message,
    Preset,
    ReleaseReport,
    SavedPrompt,
    SearchFilter,
    SearchHit,
    Settings,
    StoredDocument,
    TokenProb,
)


class SettingsStore(Protocol):
    """Keeps the app's own settings by key, as JSON values."""

    def get_setting(self, key: str) -> Any: ...

    def set_setting(self, key: str, value: object) -> None: ...


class Journal(Protocol):
    """Keeps an answer while it is being written. Each call is durable when it returns.

    Every method may raise StoreError; the caller keeps the text and tries again.
    """

    def begin(self, message: Message) -> None:
        """Store a new answer, or reopen a stored one that is to grow; its state says which."""
        ...

    def append(self, message_id: str, text: str, token_ids: Sequence[int] = ()) -> None:
        """Add text and token ids that came since the last call."""
        ...

    def finish(
        self, message: Message, *, probs: Sequence[TokenProb] = (), events: Sequence[GuardEvent] = ()
    ) -> None:
        """Store the whole answer with its state, finish reason, provenance and error.

        probs: of its tokens, replacing earlier ones. events: what the watcher noticed.
        """
        ...

    def put_probs(self, message_id: str, probs: Sequence[TokenProb]) -> None:
        """Store the probabilities of the answer's tokens, replacing earlier ones."""
        ...

    def add_events(self, message_id: str, events: Sequence[GuardEvent]) -> None:
        """Add what the watcher noticed about the answer."""
        ...

    def get_probs(self, message_id: str) -> list[TokenProb]:
        """Return the stored probabilities; empty when there are none."""
        ...


class ChatStore(Journal, Protocol):
    """Conversations and their message trees. NotFound for an unknown id."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make several calls of this thread one: all of them are stored, or none."""
        ...

    def begin_turn(self, question: Message, answer: Message, title: str | None = None) -> None:
        """Store a question and the beginning of its answer, and show them; all or nothing."""
        ...

    def create_conversation(self, conversation: Conversation) -> Conversation: ...

    def get_conversation(self, conversation_id: str) -> Conversation: ...

    def update_conversation(self, conversation_id: str, **changes: object) -> Conversation: ...

    def list_conversations(
        self, limit: int = 50, offset: int = 0, *, wanted: SearchFilter = ANYWHERE
    ) -> list[Conversation]:
        """Return chats, pinned ones first, then the latest."""
        ...

    def tags_used(self) -> list[str]: ...

    def count_conversations(self) -> int: ...

    def delete_conversation(self, conversation_id: str) -> str:
        """Move a conversation to the bin; return a token for `undo`."""
        ...

    def search(self, query: str, limit: int = 30, wanted: SearchFilter = ANYWHERE) -> list[SearchHit]: ...

    def branch(
        self, conversation_id: str, limit: int | None = None, before: str | None = None
    ) -> list[Message]:
        """Return the shown branch from the first message to the head, versions filled in."""
        ...

    def path(self, message_id: str) -> list[Message]:
        """Return the messages from the first one to this one, whatever the shown branch is."""
        ...

    def get_message(self, message_id: str) -> Message: ...

    def add_message(self, message: Message) -> Message: ...

    def update_message(self, message_id: str, **changes: object) -> Message: ...

    def siblings(self, message_id: str) -> list[Message]:
        """Return all versions of a message, oldest first, itself among them."""
        ...

    def latest_leaf(self, message_id: str) -> str:
        """Return the newest leaf below a message: where the branch through it ends."""
        ...

    def delete_message(self, message_id: str) -> str:
        """Hide a message and what follows from it; return a token for `undo`."""
        ...

    def undo(self, token: str) -> None: ...


class FileStore(Protocol):
    """Files that were attached, kept once by their hashes."""

    def read(self, sha256: str) -> bytes:
        """Return a file's bytes. Raises NotFound."""
        ...

    def add_draft(self, conversation_id: str | None, data: bytes, name: str, pages: str = "") -> DraftFile:
        """Keep a file for the next message of a conversation; None: for the next comparison."""
        ...

    def drafts(self, conversation_id: str | None) -> list[DraftFile]:
        """Return the files of the next message, in the order they were added."""
        ...

    def choose_pages(self, draft_id: str, pages: str) -> None: ...

    def drop_drafts(self, draft_ids: Iterable[str]) -> None: ...


class DocumentStore(Protocol):
    """What is kept beside chats, by kind: comparisons, studies, writings. NotFound for an unknown id."""

    def create(
        self, kind: str, title: str = "", data: Mapping[str, object] | None = None
    ) -> StoredDocument: ...

    def get(self, document_id: str) -> StoredDocument: ...

    def of_kind(self, kind: str, limit: int = 50, offset: int = 0) -> list[StoredDocument]:
        """Return the documents of a kind without deleted ones, the latest changed first."""
        ...

    def update(
        self, document_id: str, *, title: str | None = None, data: Mapping[str, object] | None = None
    ) -> StoredDocument: ...

    def delete(self, document_id: str) -> str:
        """Hide a document; return a token for `undo`."""
        ...


class PresetStore(Protocol):
    """A person's own presets."""

    def list_presets(self) -> list[Preset]: ...

    def save_preset(self, preset: Preset) -> None: ...

    def rename_preset(self, old: str, new: str) -> None: ...

    def delete_preset(self, name: str) -> None: ...


class PromptStore(Protocol):
    """A person's own prompts."""

    def list_prompts(self) -> list[SavedPrompt]: ...

    def save_prompt(self, prompt: SavedPrompt, instead_of: str | None) -> None: ...

    def delete_prompt(self, name: str) -> None: ...


class EngineSource(Protocol):
    """Gives the engine that answers now; builds it at the first call and swaps it on a switch."""

    async def ready(self) -> Engine:
        """Return the engine, not necessarily started. Raises ModelMissing when there is none."""
        ...

    async def drafting(self, name: str) -> Engine:
        """Return the engine drafting as Settings.draft says, where it can. Raises like `ready`."""
        ...

    def current(self) -> Engine | None:
        """Return the engine when one was built, without building one."""
        ...

    def running(self) -> bool:
        """Return whether asking the engine now costs no start."""
        ...

    def expected(self) -> Answering | None:
        """Return what would answer, as far as it is known without starting anything."""
        ...

    async def release(self) -> ReleaseReport:
        """End the local process; the next `ready` starts it again."""
        ...


class Watcher(Protocol):
    """Reads along while one answer is written. A stop-level event ends the answer.

    `text` is what was added, `token_count` and `char_count` are totals including it, `now` is
    monotonic seconds. A stop event's data may hold "cut_at_char", the length of the text worth
    keeping, and "cut_suffix", what closes it (a code fence).
    """

    @property
    def tells_stalls(self) -> bool:
        """Whether a person wants to hear that no text comes."""
        ...

    def on_token(
        self, text: str, token_count: int, char_count: int, probs: Sequence[TokenProb], now: float
    ) -> list[GuardEvent]: ...

    def on_tick(self, now: float) -> list[GuardEvent]:
        """Notice the passing of time; called about twice a second once text has come."""
        ...

    def wants_probe(self, now: float) -> bool:
        """Whether the engine's health should be asked now."""
        ...

    def report_health(self, healthy: bool | None, now: float) -> list[GuardEvent]:
        """Take the result of the health check."""
        ...

    def decay_beyond(self, at_char: int) -> Mapping[str, object] | None:
        """Return {"series", "downhill_at"} when the series reaches beyond a character, else None."""
        ...

    def finish(self) -> list[GuardEvent]:
        """Read what was left open when the answer ended."""
        ...

    def report(self) -> Mapping[str, Any]:
        """Return a JSON-ready summary for the provenance (`guard_report`)."""
        ...


class WatcherFactory(Protocol):
    """Makes the watcher of one answer, or None for no watching. `prefix`: what is written already."""

    def __call__(self, settings: Settings, question: str, prefix: str) -> Watcher | None: ...
