"""Conversations of llama.cpp's own web page: {"conv", "messages"}, or its whole database as Dexie wrote it.

Every version and branch is taken. Left out: the empty node at the root, thoughts, attached files.
"""

from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, parcel_of, seconds, text_of
from twokeys.types import Role

SOURCE = "llamacpp"
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant"}


def takes(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("conv"), dict)
        and isinstance(value.get("messages"), list)
    )


def is_database(value: object) -> bool:
    """Return whether a value is the export of the page's whole database."""
    return (
        isinstance(value, dict) and value.get("formatName") == "dexie" and isinstance(value.get("data"), dict)
    )


def conversations(value: object) -> list[dict[str, Any]]:
    """Return the database's conversations as they are exported one by one."""
    rows = {name: _rows(value, name) for name in ("conversations", "messages")}
    messages: dict[str, list[dict[str, Any]]] = {}
    for row in rows["messages"]:
        messages.setdefault(str(row.get("convId")), []).append(row)
    return [{"conv": row, "messages": messages.get(str(row.get("id")), [])} for row in rows["conversations"]]


def _rows(value: Any, table: str) -> list[dict[str, Any]]:
    tables = value["data"].get("data")
    row_lists = [
        entry.get("rows")
        for entry in (tables if isinstance(tables, list) else ())
        if isinstance(entry, dict) and entry.get("tableName") == table
    ]
    return [row for rows in row_lists if isinstance(rows, list) for row in rows if isinstance(row, dict)]


def read(value: Any, where: str) -> Parcel:
    """Return one conversation. Raises BadFile."""
    conversation = value["conv"]
    nodes = {str(node["id"]): node for node in value["messages"] if isinstance(node, dict) and "id" in node}
    texts = {key: text for key, node in nodes.items() if (text := _text(node))}
    system = [text_of(node.get("content")) for node in nodes.values() if node.get("role") == "system"]
    turns = [
        ImportedTurn(
            key,
            _above(key, nodes, texts),
            _ROLES[str(nodes[key]["role"])],
            text,
            seconds(nodes[key].get("timestamp")),
            model if isinstance(model := nodes[key].get("model"), str) else None,
        )
        for key, text in texts.items()
    ]
    turns.sort(key=lambda turn: turn.at or 0.0)
    modified = seconds(conversation.get("lastModified"))
    return parcel_of(
        SOURCE,
        str(conversation.get("id") or ""),
        turns,
        title=conversation.get("name"),
        updated_at=modified,
        head=str(conversation.get("currNode")),
        system_prompt=next((text for text in system if text), ""),
        where=where,
    )


def _text(node: Mapping[str, object]) -> str:
    return text_of(node.get("content")) if str(node.get("role")) in _ROLES else ""


def _above(key: str, nodes: Mapping[str, Any], texts: Mapping[str, str]) -> str | None:
    """Return the nearest node above that has a text; None below the root, which may itself be missing."""
    seen = {key}
    above = str(nodes[key].get("parent"))
    while above in nodes and above not in texts and above not in seen:
        seen.add(above)
        above = str(nodes[above].get("parent"))
    return above if above in texts else None
