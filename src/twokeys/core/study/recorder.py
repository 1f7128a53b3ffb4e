"""Reads along while a study's answer is written: the guard's eyes, and a clock at every token.

Fulfils core.ports.Watcher. With `may_stop` False the guard speaks but never ends an answer, so that
what is measured is the model and not the guard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twokeys.core.guard import Guard
from twokeys.types import GuardEvent, TokenProb


@dataclass(frozen=True, slots=True)
class TokenTime:
    """When a delta came: totals of tokens and characters with it, monotonic seconds."""

    tokens: int
    chars: int
    at_s: float


@dataclass(slots=True)
class Recorder:
    """Reads along while one answer of a study is written. guard None: nobody watches."""

    guard: Guard | None
    may_stop: bool = False
    token_times: list[TokenTime] = field(default_factory=list)
    events: list[GuardEvent] = field(default_factory=list)

    @property
    def tells_stalls(self) -> bool:
        return self.guard is None or self.guard.tells_stalls

    def on_token(
        self, text: str, token_count: int, char_count: int, probs: Sequence[TokenProb], now: float
    ) -> list[GuardEvent]:
        self.token_times.append(TokenTime(token_count, char_count, now))
        if self.guard is None:
            return []
        return self._tell(self.guard.on_token(text, token_count, char_count, probs, now))

    def on_tick(self, now: float) -> list[GuardEvent]:
        return self._tell(self.guard.on_tick(now)) if self.guard else []

    def wants_probe(self, now: float) -> bool:
        return self.guard is not None and self.guard.wants_probe(now)

    def report_health(self, healthy: bool | None, now: float) -> list[GuardEvent]:
        return self._tell(self.guard.report_health(healthy, now)) if self.guard else []

    def decay_beyond(self, at_char: int) -> Mapping[str, object] | None:
        return None  # nobody looks on

    def finish(self) -> list[GuardEvent]:
        return self._tell(self.guard.finish()) if self.guard else []

    def report(self) -> Mapping[str, Any]:
        return self.guard.report() if self.guard else {}

    def _tell(self, events: list[GuardEvent]) -> list[GuardEvent]:
        self.events.extend(events)
        if self.may_stop:
            return events
        return [replace(e, level="warn") if e.level == "stop" else e for e in events]
