"""Calls as Qwen2.5's template writes them: read out of an answer that grows, and written into a turn.

Says nothing of what may be called: that is `tool_grammar.py`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from twokeys.errors import BadParameter

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r'\s*\{"name": "([^"\\]*)", "arguments": ')
_END = f"}}\n{CLOSE}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as far as it is written. arguments: JSON, complete only when the call is."""

    name: str
    arguments: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer taken apart: what it says, and what it calls."""

    text: str
    calls: tuple[Call, ...]


def read_calls(answer: str, *, ended: bool) -> Spoken:
    """Take an answer apart. Until it has ended, what may still turn out to be a mark is held back."""
    text, mark, rest = answer.partition(OPEN)
    if not mark:
        return Spoken(text if ended else _without(text, OPEN), ())
    calls = []
    for block in rest.split(OPEN):
        written, closed, _ = block.partition(CLOSE)
        head = _HEAD.match(written)
        if head is None:
            continue
        arguments = written[head.end() :]
        if closed:
            arguments = arguments.rstrip().removesuffix("}")
        else:
            begun = _without(arguments, _END)
            arguments = begun if not ended or _is_json(begun) else arguments
        calls.append(Call(head.group(1), arguments, bool(closed)))
    return Spoken(text if text.strip() else "", tuple(calls))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _without(text: str, mark: str) -> str:
    """Return `text` without an end that may be the beginning of `mark`."""
    for length in range(min(len(mark), len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return text[:-length]
    return text


def written_turn(text: str, calls: Iterable[tuple[str, str]]) -> str:
    """Return an assistant's turn with calls (name, arguments) as the model wrote it.

    Raises BadParameter when the arguments are no JSON object.
    """
    parts = [text] if text.strip() else []
    for name, arguments in calls:
        try:
            values = json.loads(arguments)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise BadParameter(field="messages.tool_calls.function.arguments", value=arguments, allowed="{…}")
        whole = f'{{"name": {json.dumps(name)}, "arguments": {json.dumps(values, ensure_ascii=False)}}}'
        parts.append(f"{OPEN}\n{whole}\n{CLOSE}")
    return "\n".join(parts)
