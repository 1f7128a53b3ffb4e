"""A conversation as Markdown to be read by people: the shown branch, the parameters in a quiet line.

Not complete and not meant to be read in again; exchange.py's JSON is.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from twokeys.i18n import translate
from twokeys.types import CUT_REASONS, Conversation, Message


def own_words(message: Message) -> str:
    """Return a message's text as it is, without the documents before it."""
    return message.own_words


def conversation_text(
    conversation: Conversation,
    messages: Sequence[Message],
    language: str,
    text_of: Callable[[Message], str] = own_words,
) -> str:
    """Return the whole document. text_of: how a message's text is written in it."""
    created = datetime.fromtimestamp(conversation.created_at).astimezone().strftime("%Y-%m-%d %H:%M")
    about = translate("store.markdown.about", language, date=created, count=len(messages))
    parts = [f"# {_title(conversation, language)}", _quiet(about)]
    if conversation.settings.system_prompt:
        label = translate("store.markdown.system_prompt", language)
        parts.append(_quoted(f"**{label}**\n\n{conversation.settings.system_prompt}"))
    for message in messages:
        parts.extend(_message_parts(message, language, text_of))
    return "\n\n".join(parts) + "\n"


def file_name(conversation: Conversation) -> str:
    """Return a name that is safe on every system and unique by the conversation's id."""
    title = re.sub(r"[^\w-]+", "-", conversation.title).strip("-")[:60]
    return f"{title}-{conversation.id}.md" if title else f"{conversation.id}.md"


def _title(conversation: Conversation, language: str) -> str:
    one_line = " ".join(conversation.title.split())
    return one_line or translate("store.markdown.untitled", language)


def _message_parts(message: Message, language: str, text_of: Callable[[Message], str]) -> list[str]:
    name = translate(f"store.markdown.{message.role}", language)
    model = message.provenance.model if message.role == "assistant" else None
    heading = f"### {name} · {model}" if model else f"### {name}"
    parts = ["---", heading, *_files(message, language), text_of(message).rstrip() or "…"]
    facts = _facts(message, language)
    if facts:
        parts.append(_quiet(" · ".join(facts)))
    return parts


def _files(message: Message, language: str) -> list[str]:
    """Name the attached files; their texts are in the JSON export."""
    if message.role != "user" or not message.provenance.documents:
        return []
    rows = [
        translate(
            "store.markdown.file",
            language,
            name=" ".join(str(document.get("name")).split()),
            pages=document.get("pages"),
            tokens=document.get("tokens"),
            sha256=str(document.get("sha256"))[:16],
        )
        for document in message.provenance.documents
    ]
    return ["\n".join(f"- {row}" for row in rows)]


def _facts(message: Message, language: str) -> list[str]:
    facts: list[str] = []
    if message.role == "assistant":
        facts.extend(_parameters(message, language))
        if message.finish_reason is not None:
            shown = translate(f"store.markdown.finish.{message.finish_reason}", language)
            facts.append(f"**{shown}**" if message.finish_reason in CUT_REASONS else shown)
    if message.versions > 1:
        facts.append(
            translate("store.markdown.version", language, version=message.version, versions=message.versions)
        )
    if message.excluded:
        facts.append(translate("store.markdown.excluded", language))
    return facts


def _parameters(message: Message, language: str) -> list[str]:
    """The figures that decide an answer; all of the provenance is in the JSON export."""
    provenance = message.provenance
    sampling = {**provenance.sampling_set, **provenance.sampling_used}
    figures = {
        "temperature": sampling.get("temperature"),
        "max_new_tokens": sampling.get("max_new_tokens"),
        "seed": provenance.seed if provenance.seed is not None else sampling.get("seed"),
        "tokens": provenance.completion_tokens,
        "seconds": provenance.timings.total_s,
    }
    return [
        translate(f"store.markdown.{name}", language, value=_number(value))
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _quiet(text: str) -> str:
    return f"<sub>{text}</sub>"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
