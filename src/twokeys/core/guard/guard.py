"""The guard: reads along while one answer is written and says what it notices.

One object per answer, used by the UI, the CLI, comparisons, the writer and the lab alike. It is
given text, probabilities and the time; it touches no engine, no file and no screen. What it finds
does not depend on how the stream was cut into deltas (only `at_token` does, as deltas carry the
token counts).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twokeys.core.guard.cut import Cut, SentenceEnds
from twokeys.core.guard.decay import Decay
from twokeys.core.guard.drift import Drift
from twokeys.core.guard.finding import GuardFinding
from twokeys.core.guard.form import JsonForm
from twokeys.core.guard.loop import LoopWatch
from twokeys.core.guard.reader import Reader, TextPiece
from twokeys.core.guard.settings import EventLevel, GuardSettings
from twokeys.core.guard.stall import StallWatch
from twokeys.core.guard.uncertainty import Uncertainty, entropy
from twokeys.types import GuardEvent, TokenProb

POSITIONS = ("start", "end", "repeat_start", "cut_at_char", "downhill_at")
"""Names in an event's data that are offsets of characters in the answer."""

MAX_EVENTS = 200
"""So many events are kept in the report of one answer; later ones are only counted."""


class Guard:
    """Watches one answer.

    question: the user's text the answer belongs to (its language is the expected one). prefix: text
    of the answer that stands already, when it is continued; it is read without speaking of it.
    probe: asks whether the engine is healthy, during a stall; None when only `report_health` tells.
    json_form: the answer holds to a schema: its keys repeat, and it has no sentences to read.

    Fulfils core.ports.Watcher.
    """

    def __init__(
        self,
        settings: GuardSettings | Mapping[str, object] | None = None,
        question: str = "",
        *,
        prefix: str = "",
        probe: Callable[[], bool | None] | None = None,
        json_form: bool = False,
    ) -> None:
        if not isinstance(settings, GuardSettings):
            settings = GuardSettings.from_dict(settings or {})
        self.settings = settings
        self.cut: Cut | None = None
        """Where to cut, once an event of level "stop" has come."""

        self._ends = SentenceEnds()
        self._reader = Reader(self._read)
        self._loop = LoopWatch(self._ends)
        self._form = JsonForm() if json_form else None
        self._decay = Decay()
        self._drift = Drift(question)
        self._uncertainty = Uncertainty()
        self._stall = StallWatch(probe)
        self._findings: list[GuardFinding] = []
        self._events: list[GuardEvent] = []
        self._event_count = 0
        self._tokens = 0
        self._offset: int | None = None
        self._finished = False
        if prefix:
            self._offset = 0
            self._feed(prefix)
            self._findings.clear()

    @property
    def events(self) -> tuple[GuardEvent, ...]:
        """Return what was said so far, oldest first (at most MAX_EVENTS)."""
        return tuple(self._events)

    @property
    def stalled(self) -> bool:
        """Return whether the answer stands still now."""
        return self._stall.stalled

    @property
    def tells_stalls(self) -> bool:
        """Return whether stalls are told at all in this conversation."""
        return self.settings.stall != "off"

    def stalled_s(self, now: float) -> float:
        """Return for how many seconds the present stall has lasted, 0 without one."""
        return self._stall.stalled_s(now)

    def on_token(
        self,
        text: str,
        token_count: int,
        char_count: int,
        probs: Sequence[TokenProb] = (),
        now: float = 0.0,
    ) -> list[GuardEvent]:
        """Read a delta. token_count and char_count are totals with it; now is monotonic seconds.

        Returns what is to be told, oldest first. After a "stop" nothing more is said of the loop.
        """
        if self._offset is None:
            self._offset = max(0, char_count - len(text))
        begin = self._reader.position
        self._tokens = token_count
        self._findings.extend(self._stall.token(now, begin))
        self._feed(text)
        if probs:
            self._read_probs(probs, begin)
        return self._tell()

    def on_tick(self, now: float) -> list[GuardEvent]:
        """Notice the passing of time; call it about twice a second."""
        self._findings.extend(self._stall.tick(now, self._reader.position))
        return self._tell()

    tick = on_tick

    def wants_probe(self, now: float) -> bool:
        """Return whether the engine's health should be asked now (then call `report_health`)."""
        return self.tells_stalls and self._stall.wants_probe(now)

    def report_health(self, healthy: bool | None, now: float) -> list[GuardEvent]:
        """Take the answer of a health check made during a stall."""
        self._findings.extend(self._stall.report_health(healthy, now, self._reader.position))
        return self._tell()

    def decay_beyond(self, at_char: int) -> dict[str, object] | None:
        """Return the decay's series and change point when a point beyond a character is there."""
        points, offset = self._decay.points, self._offset or 0
        return self._decay.to_dict(offset) if points and points[-1].at_char + offset > at_char else None

    def finish(self) -> list[GuardEvent]:
        """Read what was left open at the end of the answer; once.

        An answer that has ended cannot be stopped: "warn" is the most that is said here.
        """
        if self._finished:
            return []
        self._finished = True
        self._reader.finish()
        self._findings.extend(self._uncertainty.finish())
        self._findings = [
            replace(finding, level="warn") if finding.level == "stop" else finding
            for finding in self._findings
        ]
        return self._tell()

    def report(self) -> dict[str, Any]:
        """Return a JSON-ready summary for the answer's provenance."""
        measured = self._uncertainty
        return {
            "settings": self.settings.to_dict(),
            "events": [event.to_dict() for event in self._events],
            "event_count": self._event_count,
            "cut": {"at_char": self.cut.at_char, "suffix": self.cut.suffix} if self.cut else None,
            "decay": self._decay.to_dict(self._offset or 0),
            "uncertainty": {
                "mean_nats": round(measured.mean, 3),
                "tokens": measured.count,
                "marked": measured.marked,
            },
            "stall": {"count": self._stall.stalls, "longest_gap_s": round(self._stall.longest_s, 2)},
        }

    def _feed(self, text: str) -> None:
        read, reader = self._reader.feed, self._reader
        cycles, form = self._loop.cycles, self._form
        if self.settings.loop == "off":
            for char in text:
                read(char)
            return
        for char in text:
            read(char)
            cycles.structured = reader.structured
            if form is not None:
                form.feed(char)
                cycles.structured = not form.in_string
            cycle = cycles.feed(char)
            if cycle is not None and (form is None or form.is_loop(cycle)):
                finding = self._loop.heard(cycle, reader.position)
                if finding is not None:
                    self._findings.append(finding)

    def _read(self, piece: TextPiece) -> None:
        """Hand one sentence or line to every detector that reads sentences."""
        settings, findings = self.settings, self._findings
        if self._form is not None:
            return
        self._ends.read(piece)
        if settings.loop != "off":
            finding = self._loop.read(piece)
            if finding is not None:
                findings.append(finding)
        if settings.decay != "off":
            findings.extend(self._decay.read(piece))
        if settings.drift != "off":
            findings.extend(self._drift.read(piece))

    def _read_probs(self, probs: Sequence[TokenProb], begin: int) -> None:
        if self.settings.uncertainty == "off":
            return
        at = begin
        for prob in probs:
            end = at + len(prob.text)
            self._findings.extend(self._uncertainty.token(entropy(prob), at, end))
            at = end

    def _tell(self) -> list[GuardEvent]:
        allowed = []
        for finding in self._findings:
            level = self.settings.allow(finding.kind, finding.level)
            if level is not None:
                allowed.append(self._event(finding, level))
        self._findings.clear()
        self._event_count += len(allowed)
        self._events.extend(allowed[: max(0, MAX_EVENTS - len(self._events))])
        return allowed

    def _event(self, finding: GuardFinding, level: EventLevel) -> GuardEvent:
        """Detectors count from the first character they read; an answer may have begun before it."""
        offset = self._offset or 0
        data = dict(finding.data)
        # a person can cut a decaying answer where it turned
        cuts = level == "stop" or (level == "warn" and finding.kind == "decay")
        if cuts and "cut_at_char" not in data:
            began = data.get("start", data.get("downhill_at"))
            cut = self._ends.before(finding.at_char if began is None else began)
            data |= {"cut_at_char": cut.at_char, "cut_suffix": cut.suffix}
        for name in POSITIONS:
            if isinstance(data.get(name), int):
                data[name] += offset
        if level == "stop":
            self.cut = Cut(data["cut_at_char"], data["cut_suffix"])
        return GuardEvent(finding.kind, level, self._tokens, finding.at_char + offset, data)
