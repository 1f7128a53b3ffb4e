"""Conversations: what a person does with them that asks nothing of an engine.

Screens and commands call this and no repository. Every change is told to whoever listens to the
conversation. Writing answers is the business of `answers.py`, freeing memory that of `force_clear.py`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from twokeys.core.jobs import JobManager
from twokeys.core.ports import ChatStore
from twokeys.errors import BadInput, NotFound, Reason
from twokeys.ids import new_id
from twokeys.types import (
    ANYWHERE,
    AT_HAND,
    Conversation,
    Message,
    ResetMark,
    SearchFilter,
    SearchHit,
    Settings,
    TokenProb,
)

TITLE_LENGTH = 200
TAG_LENGTH = 40
MOST_TAGS = 20
STOPPING_S = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A conversation and the messages up to a place in it, first to last: read once and passed on."""

    conversation: Conversation
    path: tuple[Message, ...]

    @property
    def last(self) -> Message:
        return self.path[-1]

    @property
    def above(self) -> Self:
        """The turn without its last message."""
        return replace(self, path=self.path[:-1])

    def followed_by(self, message: Message) -> Self:
        """Return the turn with one message more."""
        return replace(self, path=(*self.path, message))


class Conversations:
    """The conversations of one home. Thread-safe; raises NotFound for unknown ids and StoreError."""

    def __init__(
        self,
        store: ChatStore,
        jobs: JobManager,
        *,
        default_settings: Callable[[], Settings] = Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._default_settings = default_settings
        self._clock = clock
        self._locks: dict[str, threading.RLock] = {}
        self._locks_lock = threading.Lock()

    def lock(self, conversation_id: str) -> threading.RLock:
        """Return the lock to hold while a conversation's tree is read and then changed."""
        with self._locks_lock:
            return self._locks.setdefault(conversation_id, threading.RLock())

    # ---- the list ---------------------------------------------------------------------------

    def new(self, settings: Settings | None = None, title: str | None = None) -> Conversation:
        """Store and return an empty conversation; without settings it gets the defaults."""
        now = self._clock()
        return self._store.create_conversation(
            Conversation(
                id=new_id(),
                title=title or "",
                created_at=now,
                updated_at=now,
                title_by="person" if title else "first_words",
                settings=settings or self._default_settings(),
            )
        )

    def get(self, conversation_id: str) -> Conversation:
        """Return a conversation, a deleted one too (see `deleted_at`)."""
        return self._store.get_conversation(conversation_id)

    def latest(self, limit: int = 50, offset: int = 0, wanted: SearchFilter = AT_HAND) -> list[Conversation]:
        """Return conversations that are not put away, pinned ones first, then the latest."""
        return self._store.list_conversations(limit, offset, wanted=wanted)

    def count(self) -> int:
        """Return how many conversations there are, without those in the bin."""
        return self._store.count_conversations()

    def search(self, query: str, limit: int = 30, wanted: SearchFilter = ANYWHERE) -> list[SearchHit]:
        """Return where the words are found in titles and messages, titles first."""
        return self._store.search(query, limit, wanted)

    def pin(self, conversation_id: str, pinned: bool = True) -> Conversation:
        """Keep a conversation at the top of the list, or no longer."""
        return self._store.update_conversation(conversation_id, pinned=pinned)

    def tag(self, conversation_id: str, tags: Iterable[str]) -> Conversation:
        """Give a conversation these tags in place of those it has. Raises BadInput for a long or many."""
        tidy = tuple(dict.fromkeys(name for tag in tags if (name := " ".join(tag.split()))))
        if len(tidy) > MOST_TAGS or any(len(tag) > TAG_LENGTH for tag in tidy):
            raise BadInput(reason=Reason("chat.refused.tags", most=MOST_TAGS, length=TAG_LENGTH))
        return self._store.update_conversation(conversation_id, tags=tidy)

    def tags(self) -> list[str]:
        """Return all tags in use, the one that most conversations have first."""
        return self._store.tags_used()

    def archive(self, conversation_id: str, archived: bool = True) -> Conversation:
        """Put a conversation away, or bring it back; search finds it either way."""
        return self._store.update_conversation(conversation_id, archived=archived)

    def set_settings(self, conversation_id: str, settings: Settings) -> Conversation:
        """Store the settings; they take effect on the next message, never on a running one."""
        changed = self._store.update_conversation(conversation_id, settings=settings)
        self._jobs.topics.publish(conversation_id, {"type": "settings"})
        return changed

    def set_title(self, conversation_id: str, title: str) -> Conversation:
        """Rename by a person; the model will not rename it again."""
        title = " ".join(title.split())
        if not title:
            raise BadInput(reason=Reason("chat.refused.empty_title"))
        return self._store.update_conversation(conversation_id, title=title[:TITLE_LENGTH], title_by="person")

    def set_title_by_model(self, conversation_id: str, title: str) -> None:
        """Take the model's title, unless a person gave one meanwhile."""
        with self.lock(conversation_id):
            if self.get(conversation_id).title_by == "first_words":
                self._store.update_conversation(conversation_id, title=title, title_by="model")
                self.tell_changed(conversation_id)

    def delete(self, conversation_id: str) -> str:
        """Move a conversation to the bin; return the token that `undo` takes."""
        return self._store.delete_conversation(conversation_id)

    # ---- messages ---------------------------------------------------------------------------

    def messages(
        self, conversation_id: str, limit: int | None = None, before: str | None = None
    ) -> list[Message]:
        """Return the shown branch, newest `limit` messages, with live text that is not stored yet."""
        return self._jobs.overlay(self._store.branch(conversation_id, limit=limit, before=before))

    def message(self, message_id: str) -> Message:
        """Return a message, with live text that is not stored yet."""
        return self._jobs.overlay([self._store.get_message(message_id)])[0]

    def path(self, message_id: str) -> list[Message]:
        """Return the messages from the first one to this one, whatever the shown branch is."""
        return self._jobs.overlay(self._store.path(message_id))

    def probs(self, message_id: str) -> list[TokenProb]:
        """Return the stored probabilities of an answer's tokens; empty when there are none."""
        return self._store.get_probs(message_id)

    def shown(self, conversation_id: str) -> Turn:
        """Return the conversation with its shown branch."""
        return Turn(self.get(conversation_id), tuple(self.messages(conversation_id)))

    def turn(self, message_id: str) -> Turn:
        """Return the conversation of a message with the messages from the first one to this one."""
        path = tuple(self.path(message_id))
        return Turn(self.get(path[-1].conversation_id), path)

    def answer(self, answer_id: str) -> Turn:
        """Return the turn that ends with an answer. Raises BadInput for what is none."""
        turn = self.turn(answer_id)
        if turn.last.role != "assistant" or not turn.above.path:
            raise BadInput(reason=Reason("chat.refused.not_an_answer"))
        return turn

    @contextmanager
    def locked_answer(self, answer_id: str, turn: Turn | None = None) -> Iterator[Turn]:
        """Hold a conversation's lock and give the turn that ends with an answer, as it is by then.

        turn: that one, where it was read already and what it says can no longer change.
        """
        conversation = turn.conversation if turn is not None else None
        with self.lock(
            conversation.id if conversation else self._store.get_message(answer_id).conversation_id
        ):
            yield turn or self.answer(answer_id)

    def exclude(self, conversation_id: str, message_ids: Sequence[str]) -> None:
        """Leave messages out of what the model reads; they stay visible, marked."""
        self._mark_excluded(conversation_id, message_ids, True)

    def include(self, conversation_id: str, message_ids: Sequence[str]) -> None:
        """Let the model read messages again that were left out."""
        self._mark_excluded(conversation_id, message_ids, False)

    def versions(self, message_id: str) -> list[Message]:
        """Return all versions of a message, oldest first."""
        return self._jobs.overlay(self._store.siblings(message_id))

    def select_version(self, message_id: str) -> Conversation:
        """Show the branch that goes through this version."""
        message = self._store.get_message(message_id)
        head_id = self._store.latest_leaf(message_id)
        changed = self._store.update_conversation(message.conversation_id, head_id=head_id)
        self.tell_changed(message.conversation_id)
        return changed

    def delete_message(self, message_id: str) -> str:
        """Delete a message and what follows from it; return the token that `undo` takes."""
        message = self._store.get_message(message_id)
        with self.lock(message.conversation_id):
            for view in self._jobs.views(message.conversation_id):
                if view.active and view.message_id and self._is_below(view.message_id, message_id):
                    self._jobs.stop(view.id)
                    self._jobs.wait(view.id, STOPPING_S)
            token = self._store.delete_message(message_id)
        self.tell_changed(message.conversation_id)
        return token

    def undo(self, token: str, conversation_id: str | None = None) -> None:
        """Take a deletion back. conversation_id: whose listeners are to read again."""
        self._store.undo(token)
        if conversation_id is not None:
            self.tell_changed(conversation_id)

    # ---- where the model's state ended ------------------------------------------------------

    def mark_reset(
        self, conversation_id: str, keep_history: bool, after: str | None = None, *, by_itself: bool = False
    ) -> None:
        """Let the model's state end with the message `after`, by default the newest one shown.

        keep_history: whether the model still reads what stands above. Earlier marks stay; one that
        stands at the same message gives way.
        """
        with self.lock(conversation_id):
            conversation = self.get(conversation_id)
            after = after or conversation.head_id
            if after is None:
                return
            if keep_history and any(mark.after == after and mark.summary for mark in conversation.resets):
                return  # what the model reads of that place is decided: its summary
            mark = ResetMark(after, keep_history, self._clock(), by_itself)
            self._store.update_conversation(conversation_id, resets=conversation.resets_with(mark))
        self.tell_changed(conversation_id)

    def shorten(self, conversation_id: str, after: str, summary: str) -> ResetMark | None:
        """Let the model read a summary in place of all it would read down to the message `after`.

        Returns the reset that stood there and gives way, None where there was none. Raises BadInput for a
        summary without text, NotFound for a message that is not on the shown branch.
        """
        if not summary.strip():
            raise BadInput(reason=Reason("chat.refused.empty_summary"))
        with self.lock(conversation_id):
            turn = self.shown(conversation_id)
            if all(message.id != after for message in turn.path):
                raise NotFound(kind="message", name=after)
            former = next((mark for mark in turn.conversation.resets if mark.after == after), None)
            mark = ResetMark(after, False, self._clock(), summary=summary.strip())
            self._store.update_conversation(conversation_id, resets=turn.conversation.resets_with(mark))
        self.tell_changed(conversation_id)
        return former

    def unshorten(self, conversation_id: str, after: str, former: ResetMark | None) -> None:
        """Take a summary below the message `after` away again; `former` is what `shorten` returned."""
        with self.lock(conversation_id):
            others = tuple(mark for mark in self.get(conversation_id).resets if mark.after != after)
            resets = others if former is None else (*others, former)
            self._store.update_conversation(conversation_id, resets=resets)
        self.tell_changed(conversation_id)

    def set_history(self, conversation_id: str, after: str, keep_history: bool) -> Conversation:
        """Choose for the reset below the message `after` whether the model reads what stands above it.

        It reads back to the next earlier reset that keeps no history. NotFound when there is no such
        reset.
        """
        with self.lock(conversation_id):
            marks = self.get(conversation_id).resets
            if not any(mark.after == after for mark in marks):
                raise NotFound(kind="message", name=after)
            changed = self._store.update_conversation(
                conversation_id,
                resets=tuple(
                    replace(mark, keep_history=keep_history) if mark.after == after else mark
                    for mark in marks
                ),
            )
        self.tell_changed(conversation_id)
        return changed

    def set_history_after_reset(self, conversation_id: str, keep_history: bool) -> Conversation:
        """Choose whether the model reads the turns above the last force clear, and above the next one."""
        with self.lock(conversation_id):
            changed = self._store.update_conversation(conversation_id, history_after_reset=keep_history)
            if changed.state_reset_at is not None:
                return self.set_history(conversation_id, changed.state_reset_at, keep_history)
        self.tell_changed(conversation_id)
        return changed

    def tell_changed(self, conversation_id: str) -> None:
        """Let whoever listens to the conversation read it again."""
        self._jobs.topics.publish(conversation_id, {"type": "changed"})

    # ---- within -----------------------------------------------------------------------------

    def _mark_excluded(self, conversation_id: str, message_ids: Sequence[str], excluded: bool) -> None:
        self.get(conversation_id)
        for message_id in message_ids:
            if self._store.get_message(message_id).conversation_id != conversation_id:
                raise BadInput(reason=Reason("chat.refused.elsewhere"))
            self._store.update_message(message_id, excluded=excluded)
        self.tell_changed(conversation_id)

    def _is_below(self, message_id: str, ancestor_id: str) -> bool:
        return any(message.id == ancestor_id for message in self._store.path(message_id))


def not_deleted(turn: Turn) -> Turn:
    """Return the turn of a conversation that is not in the bin. Raises NotFound."""
    if turn.conversation.deleted_at is not None:
        raise NotFound(kind="conversation", name=turn.conversation.id)
    return turn
