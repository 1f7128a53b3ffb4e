"""Structured answers as the component draws them: columns, whether they are valid, how they are downloaded.

The form that an answer is asked to have is chosen in `answer_form.py`; what Streamlit draws alone is in
`structured_plain.py`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from twokeys.core.structured.export import file_kinds
from twokeys.core.structured.rows import TableSource, columns_of, gather
from twokeys.core.structured.schema import AnswerSchema, schema_of, validity
from twokeys.core.structured.wording import cut_text, verdict_text
from twokeys.types import CUT_REASONS, Message
from twokeys.ui import words

GROWING = ("queued", "streaming")


def view(message: Message, *, others: bool = False) -> dict[str, Any] | None:
    """Return what the component draws a structured answer by, None for any other message.

    others: further answers of the conversation have rows that can be gathered with these.
    """
    schema = schema_of(message.provenance) if message.role == "assistant" else None
    if schema is None:
        return None
    columns = columns_of(schema.value)
    shown: dict[str, Any] = {"columns": None if columns is None else list(columns), "gather": others}
    if message.state in GROWING:
        return shown
    return shown | {
        "verdict": verdict(message, schema),
        "cut": _cut_text(message, schema) if message.finish_reason in CUT_REASONS else None,
        "files": list(file_kinds(message.content, schema.value)),
    }


def verdict(message: Message, schema: AnswerSchema) -> dict[str, str] | None:
    """Return whether an answer is valid, with the sentence that says so. A cut one's banner says it."""
    state_of, sentence = _judged(message.content, schema, message.finish_reason, words.language())
    return None if state_of == "cut" else {"state": state_of, "text": sentence}


def sources(messages: Sequence[Message]) -> list[TableSource]:
    """Return the structured answers among the messages of a conversation, each with its number."""
    answers = [message for message in messages if message.role == "assistant"]
    return [
        TableSource(number, answer.id, answer.content, schema.value)
        for number, answer in enumerate(answers, 1)
        if (schema := schema_of(answer.provenance)) is not None and answer.state not in GROWING
    ]


def can_gather(messages: Sequence[Message]) -> bool:
    """Return whether more than one answer has rows."""
    return gather(sources(messages)).sources > 1


def cut_line(message: Message) -> str | None:
    """Return what is said of a structured answer that was cut, None for any other message."""
    schema = schema_of(message.provenance)
    return None if schema is None else _cut_text(message, schema)


# --- words ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _judged(text: str, schema: AnswerSchema, finish_reason: str | None, language: str) -> tuple[str, str]:
    """Return the state and its sentence. A page is drawn often, an answer is judged once."""
    judged = validity(text, schema, finish_reason)
    return judged.state, verdict_text(text, schema, judged, language)


def _cut_text(message: Message, schema: AnswerSchema) -> str:
    reason = message.finish_reason or ""
    limits = {
        "length": message.provenance.sampling_set.get("max_new_tokens"),
        "context": message.provenance.context,
    }
    return cut_text(message.content, schema, reason, words.language(), limit=limits.get(reason))
