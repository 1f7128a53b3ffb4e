"""`/shorten` of the session: the model's summary of what stands above, to be edited, taken or left."""

import time
from typing import TYPE_CHECKING

from prompt_toolkit import prompt

from twokeys.cli.failures import stored_error
from twokeys.cli.output import Output, clean
from twokeys.errors import BadInput, Reason

if TYPE_CHECKING:
    from twokeys.core.shortening import Summary
    from twokeys.services import Services

POLL_S = 0.1
BACK = ("off", "关")


def shorten_history(services: "Services", out: Output, conversation_id: str | None, argument: str) -> None:
    """Let the model summarise all turns but the newest ones, and a person decide.

    argument: how many turns stay, 1 where nothing is said; "off" lets the model read everything again.
    Raises BadInput, ContextExceeded, EngineError; nothing is changed then.
    """
    if conversation_id is None:
        raise BadInput(reason=Reason("chat.refused.shorten_nothing"))
    if argument.strip().lower() in BACK:
        _read_everything(services, out, conversation_id)
        return
    if argument.strip() and not argument.strip().isdecimal():
        raise BadInput(reason=Reason("cli.session.shorten_usage"))
    newest = int(argument) if argument.strip() else 1
    turns = services.shortening.plan(conversation_id).turns
    replaced = turns[: len(turns) - newest]
    if not replaced:
        raise BadInput(reason=Reason("chat.refused.shorten_nothing"))
    services.shortening.start(conversation_id, replaced[-1].message_ids[-1])
    try:
        summary = _written(services, out, conversation_id, len(replaced))
        text = _edited(out, summary)
        if not text:
            out.note(out.text("session.shorten_left"))
            return
        services.shortening.take(conversation_id, text)
        takes = services.shortening.tokens_of(text)
        out.note(out.text("session.shortened", before=summary.replaced_tokens, after=takes))
    finally:
        services.shortening.drop(conversation_id)


def _written(services: "Services", out: Output, conversation_id: str, turns: int) -> "Summary":
    """Wait for the summary; Ctrl-C ends it where it is."""
    shortening = services.shortening
    with out.console.status(out.text("session.shortening", turns=turns)):
        while (summary := shortening.draft(conversation_id)) is not None and summary.active:
            try:
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                shortening.stop(conversation_id)
    if summary is None:
        raise BadInput(reason=Reason("chat.refused.shorten_nothing"))
    if summary.error is not None:
        out.error(stored_error(summary.error, out.language))
    return summary


def _edited(out: Output, summary: "Summary") -> str:
    """Ask a person to read and edit the summary; "" when it is not to be used."""
    out.note(out.text("session.shorten_read"))
    try:
        return clean(
            prompt(out.text("session.shorten_prompt"), default=" ".join(summary.text.split()))
        ).strip()
    except (KeyboardInterrupt, EOFError):
        return ""


def _read_everything(services: "Services", out: Output, conversation_id: str) -> None:
    conversations = services.conversations
    marks = [
        mark for mark in conversations.get(conversation_id).resets if mark.summary and not mark.keep_history
    ]
    if not marks:
        raise BadInput(reason=Reason("cli.session.not_shortened"))
    for mark in marks:
        conversations.set_history(conversation_id, mark.after, True)
    out.note(out.text("session.read_everything"))
