"""Checks what is to be sent, before any engine sees it. Engines accept nonsense silently; we do not.

Knows nothing of servers, templates or tokens.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from twokeys.errors import BadParameter, EmptyMessage
from twokeys.types import ChatMessage, GenerationRequest, TurnRole

ROLES: tuple[str, ...] = get_args(TurnRole)
MAX_PROBS = 1000


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: paired surrogates joined, broken ones replaced by U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_messages(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return the messages with valid Unicode and without empty system messages.

    Raises EmptyMessage when there is nothing to answer, BadParameter for an unknown role or a
    content that is not text.
    """
    for message in messages:
        if message.role not in ROLES:
            raise BadParameter(field="role", value=message.role, allowed=" | ".join(ROLES))
        if not isinstance(message.content, str):
            raise BadParameter(field="content", value=type(message.content).__name__, allowed="text")
    cleaned = tuple(
        replace(message, content=clean_text(message.content))
        for message in messages
        if message.role != "system" or message.content.strip()
    )
    spoken = [message for message in cleaned if message.role != "system"]
    if not spoken or any(m.role == "user" and not m.content.strip() for m in spoken):
        raise EmptyMessage()
    return cleaned


def clean_request(request: GenerationRequest) -> GenerationRequest:
    """Return the request ready for an engine. Raises BadInput subclasses naming the field."""
    if isinstance(request.n_probs, bool) or not 0 <= request.n_probs <= MAX_PROBS:
        raise BadParameter(field="n_probs", value=request.n_probs, allowed=f"0 … {MAX_PROBS}")
    if request.slot is not None and (isinstance(request.slot, bool) or request.slot < 0):
        raise BadParameter(field="slot", value=request.slot, allowed="≥ 0")
    if request.json_schema is not None and request.grammar is not None:
        raise BadParameter(field="grammar", value="…", allowed="json_schema | grammar")
    messages = request.messages if request.prompt_ids else clean_messages(request.messages)
    return replace(request, messages=messages, prefix=clean_text(request.prefix))
