"""SillyTavern's chats: lines of JSON, a head and then one message a line, with its swipes.

All swipes are taken as versions. Left out: messages hidden from the model, and the character itself,
which lies in another file.
"""

from collections.abc import Sequence
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, fingerprint, parcel_of, seconds
from twokeys.types import Role

SOURCE = "sillytavern"


def begins(value: object) -> bool:
    """Return whether a value is the head or a message of such a chat."""
    return isinstance(value, dict) and (
        ("chat_metadata" in value and ("user_name" in value or "character_name" in value))
        or ("user_name" in value and "character_name" in value)
        or (isinstance(value.get("mes"), str) and "is_user" in value)
    )


def read(lines: Sequence[Any], where: str) -> Parcel:
    """Return the conversation that the lines of a file are. Raises BadFile."""
    head = lines[0] if "mes" not in lines[0] else {}
    turns: list[ImportedTurn] = []
    parent: str | None = None
    for number, line in enumerate(lines):
        if (
            not isinstance(line, dict)
            or not isinstance(line.get("mes"), str)
            or line.get("is_system") is True
        ):
            continue
        role: Role = "user" if line.get("is_user") is True else "assistant"
        selected: str | None = None
        for place, text in enumerate(_versions(line)):
            if text.strip():
                key = f"{number}.{place}"
                turns.append(
                    ImportedTurn(
                        key, parent, role, text.strip(), seconds(line.get("send_date")), _model(line)
                    )
                )
                if text == line["mes"] or selected is None:
                    selected = key
        parent = selected or parent
    names = [head.get(name) for name in ("character_name", "user_name")]
    first = next((turn.text for turn in turns), "")
    return parcel_of(
        SOURCE,
        fingerprint(*names, head.get("create_date"), first),
        turns,
        title=names[0] if names[0] != "unused" else "",
        created_at=seconds(head.get("create_date")),
        head=parent,
        where=where,
    )


def _versions(line: dict[str, Any]) -> list[str]:
    """Return the swipes of an answer, or its text alone; the text shown is always among them."""
    swipes = line.get("swipes")
    known = [text for text in swipes if isinstance(text, str)] if isinstance(swipes, list) else []
    return known if line["mes"] in known else [*known, line["mes"]]


def _model(line: dict[str, object]) -> str | None:
    extra = line.get("extra")
    model = extra.get("model") if isinstance(extra, dict) else None
    return model if isinstance(model, str) else None
