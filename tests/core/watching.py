"""A watcher that reads along and does as the test wants."""

from twokeys.types import GuardEvent


class Reading:
    """Reads along and stops at a word; `mistaken` raises at the first token instead."""

    tells_stalls = True

    def __init__(self, stops_at: str = "", *, mistaken: bool = False) -> None:
        self._stops_at = stops_at
        self._mistaken = mistaken

    def on_token(self, text: str, token_count: int, char_count: int, *_: object) -> list[GuardEvent]:
        if self._mistaken:
            raise KeyError("mistake")
        stop = GuardEvent("loop", "stop", token_count, char_count, {"cut_at_char": 3})
        return [stop] if text == self._stops_at else []

    def on_tick(self, now: float) -> list[GuardEvent]:
        return []

    def wants_probe(self, now: float) -> bool:
        return False

    def report_health(self, healthy: bool | None, now: float) -> list[GuardEvent]:
        return []

    def decay_beyond(self, at_char: int) -> None:
        return None

    def finish(self) -> list[GuardEvent]:
        return [GuardEvent("loop", "note", 1, 1, {})]

    def report(self) -> dict[str, object]:
        return {"tokens": 3}
