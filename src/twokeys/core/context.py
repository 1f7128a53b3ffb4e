"""What the model reads and whether it fits: tokens are the contract (decision D5).

prompt tokens + max_new_tokens ≤ context. Nothing is cut in silence: a plan names the turns that
would have to go, or how short the answer would have to be, and a person chooses. Pure functions;
counting tokens is the caller's business.
"""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from twokeys.core.metrics import is_chinese
from twokeys.types import BOUNDS, ChatMessage, Message, ResetMark

SHORTEST_ANSWER = 64
"""An answer shorter than this many tokens is not offered as a way out."""

TITLE_CHARS = 40

TOLD_SUMMARY = {
    "zh": "这段对话前面的内容，概括如下：",
    "en": "What was said earlier in this conversation, in short:",
}
"""What stands before a summary, by its own language: the same on every screen, so that an answer can be run
again exactly so."""


@dataclass(frozen=True, slots=True)
class ModelPrompt:
    """What goes to the model, and what was left out by a person's choice.

    used: ids of the stored messages in it. excluded: ids left out by name. history_from: the first
    message after a reset that keeps no history, None when everything is read. summary: what is read in
    place of what stands above it, "" for nothing.
    """

    messages: tuple[ChatMessage, ...]
    used: tuple[str, ...]
    excluded: tuple[str, ...]
    history_from: str | None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class TurnCost:
    """One turn (a question and its answer): its tokens in the prompt, and how to call it.

    message_ids: both messages; message_id is the question's.
    """

    message_id: str
    title: str
    tokens: int
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """Whether the next message fits, in tokens.

    prompt_tokens: all the model would read. history_tokens: of that, the turns so far.
    drop_to_fit: messages of the oldest turns that would have to be left out; empty when it fits or
    when even that would not help. shorten_to: the longest answer that fits, None when it fits as it
    is or when less than SHORTEST_ANSWER would be left. exact False: estimated, no engine was running.
    """

    prompt_tokens: int
    history_tokens: int
    max_new_tokens: int
    context: int
    fits: bool
    turns: tuple[TurnCost, ...] = ()
    drop_to_fit: tuple[str, ...] = ()
    shorten_to: int | None = None
    exact: bool = True


def build_prompt(
    path: Sequence[Message],
    system_prompt: str,
    *,
    resets: Sequence[ResetMark] = (),
    excluded: Collection[str] | None = None,
    history_from: str | None = None,
    summary: str = "",
) -> ModelPrompt:
    """Return what the model reads for a path that ends with the question.

    resets: forget everything above those on the path that do not keep the history; the summary of the
    last one is read instead.
    history_from, summary: forget everything before this message, and what is read instead; as recorded
    in a provenance.
    excluded: ids left out instead of the messages' own marks; as recorded in a provenance.
    """
    ids = [message.id for message in path]
    start = 0
    forgetting = {
        ids.index(mark.after): mark for mark in resets if not mark.keep_history and mark.after in ids
    }
    if forgetting:
        last = max(forgetting)
        start, summary = last + 1, forgetting[last].summary
    elif history_from in ids:
        start = ids.index(history_from)
    included: list[Message] = []
    left_out: list[str] = []
    for message in path[start:]:
        if message.excluded if excluded is None else message.id in excluded:
            left_out.append(message.id)
        elif message.content or message.role == "user":
            included.append(message)
    system_prompt = with_summary(system_prompt, summary)
    head = [ChatMessage("system", system_prompt)] if system_prompt.strip() else []
    return ModelPrompt(
        messages=(*head, *(ChatMessage(message.role, message.content) for message in included)),
        used=tuple(message.id for message in included),
        excluded=tuple(left_out),
        history_from=ids[start] if 0 < start < len(ids) else None,
        summary=summary,
    )


def with_summary(system_prompt: str, summary: str) -> str:
    """Return the system prompt with a summary of turns that are not read behind it."""
    if not summary.strip():
        return system_prompt
    heading = TOLD_SUMMARY["zh" if is_chinese(summary) else "en"]
    return behind(system_prompt, f"{heading}\n{summary.strip()}")


def behind(system_prompt: str, text: str) -> str:
    """Return the system prompt with a text of its own paragraph behind it."""
    return f"{system_prompt.rstrip()}\n\n{text}" if system_prompt.strip() else text


def plan_context(
    *,
    context: int,
    prompt_tokens: int,
    max_new_tokens: int,
    turns: Sequence[TurnCost],
    exact: bool,
) -> ContextPlan:
    """Return the plan for a prompt whose parts are known. context 0 means unknown: all fits."""
    fits = context <= 0 or prompt_tokens + max_new_tokens <= context
    room = context - prompt_tokens
    dropped: list[str] = []
    shorten_to: int | None = None
    if not fits:
        shorten_to = _round_down(room) if room >= SHORTEST_ANSWER else None
        missing = prompt_tokens + max_new_tokens - context
        for turn in turns:
            dropped.extend(turn.message_ids or (turn.message_id,))
            missing -= turn.tokens
            if missing <= 0:
                break
        if missing > 0:
            dropped = []
    return ContextPlan(
        prompt_tokens=prompt_tokens,
        history_tokens=sum(turn.tokens for turn in turns),
        max_new_tokens=max_new_tokens,
        context=context,
        fits=fits,
        turns=tuple(turns),
        drop_to_fit=tuple(dropped),
        shorten_to=shorten_to,
        exact=exact,
    )


def group_turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Return questions with the answers that follow them, oldest first."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def turn_title(turn: Sequence[Message]) -> str:
    """Return a line that names a turn: the beginning of its question."""
    return first_words(turn[0].own_words, TITLE_CHARS) if turn else ""


def first_words(text: str, limit: int = TITLE_CHARS) -> str:
    """Return the beginning of a text as a title: one line, at most `limit` columns wide.

    A Chinese character counts as two columns. Cut at a word or punctuation where one is near.
    """
    plain = " ".join(text.replace("`", "").replace("#", " ").replace("*", "").split())
    width = 0
    for index, char in enumerate(plain):
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if width > limit:
            cut = plain[:index]
            space = cut.rfind(" ")
            return (cut[:space] if space > len(cut) * 0.6 else cut).rstrip(" ,.;:，。；：、") + "…"
    return plain


def _round_down(room: int) -> int:
    """Round to the slider's step where the slider reaches, so that the offer can be shown on it."""
    bounds = BOUNDS["max_new_tokens"]
    low, step = int(bounds.ui_low or 0), int(bounds.step)
    return room - (room - low) % step if room >= low else room
