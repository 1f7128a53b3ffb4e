"""Answers as server-sent events, while they are written: of chat, of plain completions, of responses.

Takes the pieces as they come; None among them stands for a wait, and becomes a comment. Who may ask and
what happens to errors is decided in `routes.py`.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from twokeys.api import replies
from twokeys.api.asked import AnswerRequest
from twokeys.api.replies import Heading
from twokeys.api.tool_calls import read_calls
from twokeys.api.writing import ChoiceDelta, Ended

Pieces = AsyncGenerator[ChoiceDelta | Ended | None, None]
COMMENT = b": still here\n\n"


async def chat_events(pieces: Pieces, asked: AnswerRequest, heading: Heading) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a chat completion."""

    def chunk(index: int, delta: dict[str, object], finish: str | None = None, **more: object) -> bytes:
        probs = more.pop("logprobs", None)
        choice = {"index": index, "delta": delta, "logprobs": probs, "finish_reason": finish}
        return replies.event(replies.chunk(heading, [choice], **more))

    speaking: dict[int, _Speaking] = {}
    endings: list[Ended] = []
    async for piece in pieces:
        if piece is None:
            yield COMMENT
            continue
        if piece.index not in speaking:
            speaking[piece.index] = _Speaking()
            yield chunk(piece.index, {"role": "assistant", "content": ""})
        if replies.may_call(asked):
            for delta in speaking[piece.index].deltas(piece):
                yield chunk(piece.index, delta)
        elif isinstance(piece, ChoiceDelta):
            probs = replies.logprobs_of(piece.probs, heading.shown) if asked.n_probs else None
            yield chunk(piece.index, {"content": piece.text}, logprobs=probs)
        if isinstance(piece, Ended):
            endings.append(piece)
            facts = replies.facts_of(piece, asked)
            yield chunk(piece.index, {}, replies.finish_of(piece, asked), twokeys=facts)
    if asked.include_usage:
        yield replies.event(replies.chunk(heading, [], usage=replies.usage_of(endings, asked)))
    yield replies.event("[DONE]")


@dataclass(slots=True)
class _Speaking:
    """How much of an answer with calls was said: its text, and of each call the arguments."""

    answer: str = ""
    text_sent: int = 0
    arguments_sent: list[int] = field(default_factory=list)

    def deltas(self, piece: ChoiceDelta | Ended) -> list[dict[str, object]]:
        """Return what can be said now that was not said before."""
        ended = isinstance(piece, Ended)
        self.answer = piece.outcome.text if isinstance(piece, Ended) else self.answer + piece.text
        spoken = read_calls(self.answer, ended=ended)
        deltas: list[dict[str, object]] = []
        if spoken.text.strip() and len(spoken.text) > self.text_sent:
            deltas.append({"content": spoken.text[self.text_sent :]})
            self.text_sent = len(spoken.text)
        for index, call in enumerate(spoken.calls):
            begun = index < len(self.arguments_sent)
            sent = self.arguments_sent[index] if begun else 0
            new = call.arguments[sent:]
            if not begun:
                self.arguments_sent.append(0)
                deltas.append(_call_delta(index, **replies.call_object(call, replies.new_call_id(), new)))
            elif new:
                deltas.append(_call_delta(index, function={"arguments": new}))
            self.arguments_sent[index] = max(sent, len(call.arguments))
        return deltas


def _call_delta(index: int, **values: object) -> dict[str, object]:
    return {"tool_calls": [{"index": index, **values}]}


async def text_events(pieces: Pieces, asked: AnswerRequest, heading: Heading) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a completion of /v1/completions."""

    def line(choices: list[dict[str, object]], **more: object) -> bytes:
        return replies.event(replies.text_completion(heading, choices, **more))

    endings: list[Ended] = []
    begun: set[int] = set()
    async for piece in pieces:
        if piece is None:
            yield COMMENT
            continue
        if asked.echo and piece.index not in begun:
            yield line(
                [replies.text_choice(piece.index, replies.echo_of(asked, piece.index), (), asked, 0, None)]
            )
        begun.add(piece.index)
        if isinstance(piece, ChoiceDelta):
            yield line(
                [replies.text_choice(piece.index, piece.text, piece.probs, asked, heading.shown, None)]
            )
        else:
            endings.append(piece)
            finish = replies.finish_of(piece, asked)
            facts = replies.facts_of(piece, asked)
            yield line([replies.text_choice(piece.index, "", (), asked, 0, finish)], twokeys=facts)
    if asked.include_usage:
        yield line([], usage=replies.usage_of(endings, asked))
    yield replies.event("[DONE]")


async def response_events(
    pieces: Pieces, asked: AnswerRequest, heading: Heading
) -> AsyncGenerator[bytes, None]:
    """Yield the events of /v1/responses."""
    number = 0

    def line(kind: str, **values: object) -> bytes:
        nonlocal number
        number += 1
        return replies.event({"type": kind, "sequence_number": number - 1, **values}, kind)

    place = {"item_id": f"msg_{heading.answer_id}", "output_index": 0, "content_index": 0}
    yield line("response.created", response=replies.response(heading, None, asked))
    text = ""
    async for piece in pieces:
        if piece is None:
            yield COMMENT
        elif isinstance(piece, ChoiceDelta):
            text += piece.text
            yield line("response.output_text.delta", delta=piece.text, logprobs=[], **place)
        else:
            yield line("response.output_text.done", text=text, logprobs=[], **place)
            whole = replies.response(heading, piece, asked)
            yield line(f"response.{whole['status']}", response=whole)
