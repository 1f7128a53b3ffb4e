"""An answer, a conversation or a comparison as one HTML page for others, with how each answer was made.

It opens without a network: no script, no address that is loaded; its own policy forbids both. Models'
texts go through the reader of all documents, a person's words stand as they were written.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files

from twokeys import __version__
from twokeys.core.compare.comparison import ColumnView, Comparison
from twokeys.i18n import translate
from twokeys.manuscript.page import render
from twokeys.types import CUT_REASONS, Conversation, Message

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def answer_page(question: Message | None, answer: Message, title: str, language: str) -> str:
    """Return one answer, below its question where there is one."""
    messages = [message for message in (question, answer) if message is not None]
    return _page(title, _messages(messages, language), answer.created_at, language)


def conversation_page(conversation: Conversation, messages: Sequence[Message], language: str) -> str:
    """Return the messages of a conversation, with its system prompt."""
    body = _system_prompt(conversation.settings.system_prompt, language) + _messages(messages, language)
    title = conversation.title or translate("store.markdown.untitled", language)
    return _page(title, body, conversation.created_at, language)


def comparison_page(comparison: Comparison, language: str) -> str:
    """Return a comparison: what was asked, and its columns beside each other."""
    columns = "".join(_column(column, language) for column in comparison.columns)
    body = (
        _system_prompt(comparison.system_prompt, language)
        + _messages([*comparison.history, comparison.question], language)
        + f'<div class="columns">{columns}</div>'
    )
    return _page(comparison.title, body, comparison.created_at, language, wide=True)


def _page(title: str, body: str, created_at: float, language: str, *, wide: bool = False) -> str:
    date = datetime.fromtimestamp(created_at).astimezone().strftime("%Y-%m-%d %H:%M")
    about = translate("store.share.about", language, date=date, version=__version__)
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body{' class=wide' if wide else ''}>"
        f'<main><h1>{escape(title)}</h1><p class="kind">{escape(about)}</p>{body}</main></body></html>\n'
    )


@cache
def _style() -> str:
    sheets = ("page.css", "share.css")
    return "\n".join(files(__package__).joinpath(name).read_text(encoding="utf-8") for name in sheets)


def _system_prompt(text: str, language: str) -> str:
    if not text:
        return ""
    label = escape(translate("store.markdown.system_prompt", language))
    return (
        f'<section class="role"><h2>{label}</h2><div class="words" dir="auto">{escape(text)}</div></section>'
    )


def _messages(messages: Sequence[Message], language: str) -> str:
    return "".join(_message(message, language) for message in messages)


def _message(message: Message, language: str) -> str:
    name = escape(translate(f"store.markdown.{message.role}", language))
    return f'<section class="{message.role}"><h2>{name}</h2>{_body(message, language)}</section>'


def _column(column: ColumnView, language: str) -> str:
    return (
        f'<section class="assistant"><h2>{escape(column.name)}</h2>{_body(column.answer, language)}</section>'
    )


def _body(message: Message, language: str) -> str:
    if message.role != "assistant":
        names = "".join(
            f"<li>{escape(str(document.get('name')))}</li>" for document in message.provenance.documents or ()
        )
        listed = f"<ul>{names}</ul>" if names else ""
        return f'{listed}<div class="words" dir="auto">{escape(message.own_words)}</div>'
    cut = ""
    if message.finish_reason in CUT_REASONS:
        reason = translate(f"store.markdown.finish.{message.finish_reason}", language)
        cut = f'<p class="cut">{escape(reason)}</p>'
    return f"<div>{render(message.content)}</div>{cut}{_record(message, language)}"


def _record(message: Message, language: str) -> str:
    """Return how an answer was made, folded; "" where nothing is known of it."""
    rows = "".join(
        f"<dt>{escape(translate(f'store.share.{name}', language))}</dt><dd>{escape(value)}</dd>"
        for name, value in _facts(message, language)
    )
    if not rows:
        return ""
    title = escape(translate("store.share.record", language))
    return f"<details><summary>{title}</summary><dl>{rows}</dl></details>"


def _facts(message: Message, language: str) -> Iterator[tuple[str, str]]:
    record = message.provenance
    sampling: Mapping[str, object] = {**record.sampling_set, **record.sampling_used}
    finish = message.finish_reason
    values: dict[str, object] = {
        "model": record.model,
        "sha256": record.model_sha256,
        "engine": " ".join(str(record.engine[key]) for key in ("kind", "build") if record.engine.get(key)),
        "seed": record.seed if record.seed is not None else sampling.get("seed"),
        "sampling": ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in sampling.items()
            if value not in (None, "", [], ()) and name != "seed"
        ),
        "tokens": _tokens(message, language),
        "seconds": f"{record.timings.total_s:.2f}" if record.timings.total_s else None,
        "finish": translate(f"store.markdown.finish.{finish}", language) if finish else None,
        "written": datetime.fromtimestamp(message.created_at).astimezone().isoformat(" ", "seconds"),
    }
    if not record:
        return
    yield from ((name, str(value)) for name, value in values.items() if value not in (None, ""))


def _tokens(message: Message, language: str) -> str | None:
    record = message.provenance
    if record.completion_tokens is None:
        return None
    read = record.prompt_tokens if record.prompt_tokens is not None else "–"
    return translate("store.share.token_counts", language, prompt=read, answer=record.completion_tokens)
