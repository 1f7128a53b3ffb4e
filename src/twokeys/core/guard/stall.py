"""Notices that no token has come for too long, and whether the engine itself still answers.

The clock is passed in. The first token's wait (loading, reading the prompt) is not a stall.
"""

from collections.abc import Callable, Iterator

from twokeys.core.guard.finding import GuardFinding

STALL_S = 2.0
"""A gap below this is never a stall (S2)."""

OWN_PACE = 4.0
"""A gap must also be this many times the answer's own usual gap."""

PROBE_EVERY_S = 2.0
_SMOOTHING = 0.1


class StallWatch:
    """Feed it the arrival times of deltas and the ticks between them.

    probe: asked at most every PROBE_EVERY_S during a stall whether the engine answers its health
    check; None means not known. Who can only ask asynchronously calls `report_health` instead.
    """

    __slots__ = ("_gap_s", "_last_at", "_probe", "_probed_at", "_since", "engine", "longest_s", "stalls")

    def __init__(self, probe: Callable[[], bool | None] | None = None) -> None:
        self._probe = probe
        self._last_at: float | None = None
        self._gap_s = 0.0
        self._since: float | None = None
        self._probed_at = float("-inf")
        self.engine = "unknown"
        self.longest_s = 0.0
        self.stalls = 0

    @property
    def stalled(self) -> bool:
        return self._since is not None

    def stalled_s(self, now: float) -> float:
        """Return for how long the present stall has lasted, 0 when there is none."""
        return max(0.0, now - self._since) if self._since is not None else 0.0

    def limit_s(self) -> float:
        """Return the gap from which this answer counts as stalled."""
        return max(STALL_S, OWN_PACE * self._gap_s)

    def wants_probe(self, now: float) -> bool:
        """Return whether it is time to ask the engine's health (during a stall, every 2 s)."""
        return self._since is not None and now - self._probed_at >= PROBE_EVERY_S

    def token(self, now: float, at_char: int) -> Iterator[GuardFinding]:
        """Tokens came."""
        if self._last_at is not None:
            gap = max(0.0, now - self._last_at)
            self.longest_s = max(self.longest_s, gap)
            if self._since is not None:
                self._since = None
                self.engine = "alive"
                yield GuardFinding("stall", "note", at_char, {"state": "over", "gap_s": round(gap, 1)})
            elif self._gap_s == 0.0:
                self._gap_s = gap
            else:
                self._gap_s += _SMOOTHING * (gap - self._gap_s)
        self._last_at = now

    def tick(self, now: float, at_char: int) -> Iterator[GuardFinding]:
        """Time passed without a token."""
        if self._last_at is None:
            return
        gap = now - self._last_at
        if self._since is None:
            if gap <= self.limit_s():
                return
            self._since = self._last_at
            self.stalls += 1
            self.engine = "unknown"
            self._probed_at = float("-inf")
            yield self._finding("begun", gap, at_char)
        if self._probe is not None and self.wants_probe(now):
            yield from self.report_health(self._probe(), now, at_char)

    def report_health(self, healthy: bool | None, now: float, at_char: int) -> Iterator[GuardFinding]:
        """Take the engine's health: a hang of the engine is another matter than slow writing."""
        self._probed_at = now
        known = {True: "alive", False: "hung", None: self.engine}[healthy]
        if self._since is None or known == self.engine:
            return
        self.engine = known
        yield self._finding("engine_hung" if known == "hung" else "slow", self.stalled_s(now), at_char)

    def _finding(self, state: str, gap: float, at_char: int) -> GuardFinding:
        data = {
            "state": state,
            "gap_s": round(gap, 1),
            "usual_gap_s": round(self._gap_s, 3),
            "engine": self.engine,
        }
        return GuardFinding("stall", "warn", at_char, data)
