"""Reads the events of /v1/chat/completions: text, probabilities, usage and why it ended.

Tokens whose bytes are only a piece of a character are shown with the token that completes it. What a
server tells apart as reasoning stands in the text as the model wrote it, between <think> and </think>. What
differs from server to server is the dialects' business.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twokeys.engines.llamacpp import floored_logprob, spell_candidate
from twokeys.types import Candidate, Delta, EngineEvent, Phase, TokenProb, Usage

UNKNOWN_ID = -1
"""Of a token whose id the server does not tell; its candidates count down from there, so that they differ."""
UNTOLD_PIECE = "<0x?>"
"""A candidate that is only a piece of a character and comes without its bytes."""
THINK, THOUGHT = "<think>\n", "\n</think>\n\n"
MOST_WAITING = 64
"""Probabilities that wait for their text; more than a server ever holds back: they do not belong to it."""


@dataclass(slots=True)
class ChatStream:
    """The state of one stream: what has come so far. chars: of the answer, its begun text included."""

    chars: int = 0
    started_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    deltas: int = 0
    reason: str | None = None
    matched: Any = None
    probs_came: bool = False
    thinking: bool = False
    usage: Mapping[str, Any] = field(default_factory=dict)
    tokens: "TokenReader" = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = TokenReader(self.chars)

    def text(self, text: str, entries: Sequence[Mapping[str, object]] = ()) -> list[EngineEvent]:
        """Return the events for new text and the probabilities that came with it."""
        return (
            [*self._mark(thinking=False), *self._events(text, entries)] if text else self._events("", entries)
        )

    def thought(self, text: str, entries: Sequence[Mapping[str, object]] = ()) -> list[EngineEvent]:
        """Return the events for reasoning that a server tells apart from the answer."""
        return [*self._mark(thinking=True), *self._events(text, entries)]

    def _mark(self, *, thinking: bool) -> list[EngineEvent]:
        """Return the mark that the model wrote and the server took away, where one kind of text ends."""
        if thinking == self.thinking:
            return []
        self.thinking = thinking
        mark = THINK if thinking else THOUGHT
        self.tokens.pass_over(len(mark))
        return self._shown(mark)

    def _events(self, text: str, entries: Sequence[Mapping[str, object]]) -> list[EngineEvent]:
        self.probs_came = self.probs_came or bool(entries)
        probs = self.tokens.read(entries, text)
        self.deltas += max(1, len(probs)) if text else 0
        return self._shown(text, probs) if text else []

    def _shown(self, text: str, probs: tuple[TokenProb, ...] = ()) -> list[EngineEvent]:
        out: list[EngineEvent] = []
        if self.first_at is None:
            self.first_at = time.monotonic()
            out.append(Phase("generating"))
        self.chars += len(text)
        out.append(Delta(text, probs=probs))
        return out

    def counted(self) -> Usage:
        """Return the server's own counts; without them one token for each piece of text."""
        details = self.usage.get("prompt_tokens_details") or {}
        return Usage(
            prompt_tokens=int(self.usage.get("prompt_tokens") or 0),
            completion_tokens=int(self.usage.get("completion_tokens") or self.deltas),
            cached_tokens=int(details.get("cached_tokens") or 0),
        )


def read_chat_event(event: Mapping[str, Any], stream: ChatStream) -> list[EngineEvent]:
    """Return what one event of the stream says; its end and usage are noted in `stream`."""
    if event.get("usage"):
        stream.usage = event["usage"]
    choices = event.get("choices") or ()
    if not choices:
        return []
    choice = choices[0]
    if choice.get("finish_reason"):
        stream.reason = choice["finish_reason"]
        stream.matched = choice.get("stop_reason", choice.get("matched_stop"))
    delta = choice.get("delta") or {}
    entries = (choice.get("logprobs") or {}).get("content") or ()
    ids = choice.get("token_ids") or ()
    if len(ids) == len(entries):
        entries = [{**entry, "id": token} for entry, token in zip(entries, ids, strict=True)]
    if reasoning := delta.get("reasoning") or delta.get("reasoning_content"):
        return [*stream.thought(reasoning, entries), *stream.text(delta.get("content") or "")]
    return stream.text(delta.get("content") or "", entries)


class TokenReader:
    """Puts the probabilities of tokens to the text they spell.

    A server may send them before the text (held back for a stop string, or half a character), and one
    for the end token, which has no text.
    """

    def __init__(self, at_char: int) -> None:
        self._at_char = at_char
        self._end = at_char
        self._waiting: list[Mapping[str, Any]] = []
        self._open = b""

    def pass_over(self, chars: int) -> None:
        """Leave out text that no token of the server's spells."""
        self._waiting.clear()
        self._end += chars
        self._at_char = self._end

    def read(self, entries: Sequence[Mapping[str, object]], text: str) -> tuple[TokenProb, ...]:
        """Return the probabilities of the tokens whose text has come with `text`."""
        self._waiting += entries
        self._end += len(text)
        if not text:
            return ()
        probs: list[TokenProb] = []
        while self._waiting:
            entry = self._waiting[0]
            spelled, rest = self._spell(entry)
            if self._at_char + len(spelled) > self._end:
                break
            token_id = int(entry.get("id", UNKNOWN_ID))
            candidates = self._candidates(entry, token_id)
            probs.append(TokenProb(spelled, token_id, floored_logprob(entry), self._at_char, candidates))
            self._at_char += len(spelled)
            self._open = rest
            self._waiting.pop(0)
        if not self._waiting or len(self._waiting) > MOST_WAITING:
            self._waiting.clear()
            self._at_char = self._end
        return tuple(probs)

    def _candidates(self, entry: Mapping[str, Any], token_id: int) -> tuple[Candidate, ...]:
        """Return what might have stood there; the one that does has its id, the others one of their own."""
        others = entry.get("top_logprobs") or ()
        keys = [(other.get("token"), other.get("logprob")) for other in others]
        written = (entry.get("token"), entry.get("logprob"))
        place = keys.index(written) if written in keys else None
        return tuple(
            Candidate(
                spell_candidate(other, self._open) or UNTOLD_PIECE,
                int(other.get("id", token_id if rank == place else UNKNOWN_ID - 1 - rank)),
                floored_logprob(other),
            )
            for rank, other in enumerate(others)
        )

    def _spell(self, entry: Mapping[str, Any]) -> tuple[str, bytes]:
        raw = self._open + bytes(entry.get("bytes") or str(entry.get("token", "")).encode())
        try:
            return raw.decode("utf-8"), b""
        except UnicodeDecodeError:
            return "", raw
