"""A journal on a disk that is full for a while."""

from collections.abc import Sequence

from twokeys.errors import StoreFull
from twokeys.types import GuardEvent, Message, TokenProb


class FullDisk:
    """Takes nothing while `full`. appended: text by message; finished: whole answers, in order."""

    def __init__(self) -> None:
        self.full = False
        self.appended: dict[str, str] = {}
        self.finished: list[Message] = []

    def _check(self) -> None:
        if self.full:
            raise StoreFull(path="twokeys.db")

    def begin(self, message: Message) -> None:
        self._check()

    def append(self, message_id: str, text: str, token_ids: Sequence[int] = ()) -> None:
        self._check()
        self.appended[message_id] = self.appended.get(message_id, "") + text

    def finish(
        self, message: Message, *, probs: Sequence[TokenProb] = (), events: Sequence[GuardEvent] = ()
    ) -> None:
        self._check()
        self.finished.append(message)

    def put_probs(self, message_id: str, probs: Sequence[TokenProb]) -> None:
        self._check()

    def add_events(self, message_id: str, events: Sequence[GuardEvent]) -> None:
        self._check()

    def get_probs(self, message_id: str) -> list[TokenProb]:
        return []
