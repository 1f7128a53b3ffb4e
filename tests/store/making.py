"""Short ways to fill a repository."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from twokeys.ids import new_id
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Message, Role


def message(conversation_id: str, parent_id: str | None, role: Role, content: str, **more: object) -> Message:
    values = {"created_at": time.time(), **more}
    return Message(new_id(), conversation_id, parent_id, role, content, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Maker:
    repository: Repository
    now: float

    def conversation(self, title: str = "") -> Conversation:
        made = self.repository.create_conversation()
        return self.repository.update_conversation(made.id, title=title)

    def add(self, conversation_id: str, parent: Message | None, role: Role, content: str) -> Message:
        parent_id = None if parent is None else parent.id
        return self.repository.add_message(message(conversation_id, parent_id, role, content))

    def talk(self, *contents: str, title: str = "") -> tuple[Conversation, list[Message]]:
        """A conversation of alternating questions and answers."""
        conversation = self.conversation(title)
        parent: Message | None = None
        made = []
        for number, content in enumerate(contents):
            parent = self.add(conversation.id, parent, "assistant" if number % 2 else "user", content)
            made.append(parent)
        return conversation, made

    def begin(self, conversation_id: str, parent: Message | None = None, content: str = "") -> Message:
        begun = message(
            conversation_id, None if parent is None else parent.id, "assistant", content, state="streaming"
        )
        self.repository.begin(begun)
        return begun


def shown(repository: Repository, conversation_id: str) -> list[str]:
    return [m.content for m in repository.branch(conversation_id)]


def start_python(script: str, *args: str | Path) -> "subprocess.Popen[str]":
    """Run a script in another process; it says it is ready by printing a line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
