"""Message lists as the OpenAI interface has them: [{"role", "content"}, …] or {"messages": […]}.

A list is a conversation; of JSON lines each object with `messages` is one. A system prompt at the
beginning becomes the conversation's. Left out: calls of tools and their results.
"""

from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, fingerprint, in_a_row, parcel_of, seconds, text_of
from twokeys.types import Role

SOURCE = "messages"
_ROLES: Mapping[str, Role] = {"user": "user", "human": "user", "assistant": "assistant", "model": "assistant"}
_SYSTEM = ("system", "developer")


def is_message(value: object) -> bool:
    """Return whether a value is a single message."""
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value


def takes(value: object) -> bool:
    messages = value.get("messages") if isinstance(value, dict) else value
    return isinstance(messages, list) and any(is_message(message) for message in messages)


def read(value: object, where: str) -> Parcel:
    """Return one conversation. Raises BadFile."""
    outer: Mapping[str, Any] = value if isinstance(value, dict) else {"messages": value}
    messages = [message for message in outer["messages"] if is_message(message)]
    model = outer.get("model")
    turns = in_a_row(
        ImportedTurn(
            f"#{number}", None, role, text, _time(message), model if isinstance(model, str) else None
        )
        for number, message in enumerate(messages)
        if (role := _ROLES.get(message["role"])) is not None and (text := text_of(message["content"]))
    )
    system = [text_of(message["content"]) for message in messages if message["role"] in _SYSTEM]
    name = outer.get("id") or outer.get("conversation_id")
    return parcel_of(
        SOURCE,
        name if isinstance(name, str) and name else fingerprint([(turn.role, turn.text) for turn in turns]),
        turns,
        title=outer.get("title") or outer.get("name") or _first_line(turns),
        created_at=seconds(outer.get("created_at") or outer.get("created")),
        system_prompt=next((text for text in system if text), ""),
        where=where,
    )


def _time(message: Mapping[str, object]) -> float | None:
    times = (seconds(message.get(name)) for name in ("timestamp", "created_at", "created"))
    return next((at for at in times if at is not None), None)


def _first_line(turns: list[ImportedTurn]) -> str:
    return turns[0].text.splitlines()[0][:60] if turns else ""
