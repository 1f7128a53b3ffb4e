"""Claude's data export: conversations.json, a list of conversations with `chat_messages`.

What is taken: the texts of both sides, with the branches where the file names a message's parent, and
texts pasted as attachments. Left out: thoughts, calls of tools and their results, files.
"""

from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, in_a_row, parcel_of, seconds, text_of
from twokeys.types import Role

SOURCE = "claude"
_ROLES: Mapping[str, Role] = {"human": "user", "user": "user", "assistant": "assistant"}


def takes(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("chat_messages"), list)


def read(value: Any, where: str) -> Parcel:
    """Return one conversation. Raises BadFile."""
    messages = [message for message in value["chat_messages"] if isinstance(message, dict)]
    turns = [turn for number, message in enumerate(messages) if (turn := _turn(message, number)) is not None]
    known = {turn.key for turn in turns}
    if not any(turn.parent in known for turn in turns):
        turns = in_a_row(turns)
    else:
        parents = {_key(message, n): message.get("parent_message_uuid") for n, message in enumerate(messages)}
        turns = [_below_known(turn, known, parents) for turn in turns]
    head = value.get("current_leaf_message_uuid")
    return parcel_of(
        SOURCE,
        str(value.get("uuid") or ""),
        turns,
        title=value.get("name"),
        created_at=seconds(value.get("created_at")),
        updated_at=seconds(value.get("updated_at")),
        head=head if isinstance(head, str) else None,
        where=where,
    )


def _turn(message: Mapping[str, Any], number: int) -> ImportedTurn | None:
    role = _ROLES.get(str(message.get("sender")).lower())
    text = text_of(message.get("content")) or text_of(message.get("text"))
    pasted = [
        str(attachment["extracted_content"]).strip()
        for attachment in message.get("attachments") or ()
        if isinstance(attachment, dict) and isinstance(attachment.get("extracted_content"), str)
    ]
    text = "\n\n".join(part for part in (text, *pasted) if part)
    if role is None or not text:
        return None
    parent = message.get("parent_message_uuid")
    return ImportedTurn(
        _key(message, number),
        parent if isinstance(parent, str) else None,
        role,
        text,
        seconds(message.get("created_at")),
    )


def _key(message: Mapping[str, object], number: int) -> str:
    uuid = message.get("uuid")
    return uuid if isinstance(uuid, str) and uuid else f"#{number}"


def _below_known(turn: ImportedTurn, known: set[str], parents: Mapping[str, object]) -> ImportedTurn:
    """Hang a turn onto the nearest one above that is kept."""
    above, seen = turn.parent, {turn.key}
    while above is not None and above not in known and above not in seen:
        seen.add(above)
        parent = parents.get(above)
        above = parent if isinstance(parent, str) else None
    return ImportedTurn(
        turn.key, above if above in known else None, turn.role, turn.text, turn.at, turn.model
    )
