"""Open WebUI's export: a list of chats, each with a tree of messages under `chat.history`.

Every version and branch is taken, and the chat's own system prompt. Left out: files, sources, status lines,
and thoughts folded into the answer as a <details> block.
"""

import re
from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, bad_file, in_a_row, parcel_of, seconds, text_of
from twokeys.types import Role

SOURCE = "openwebui"
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant"}
_FOLDED = re.compile(
    r"<details\b[^>]*\btype=\"(?:reasoning|tool_calls|code_interpreter)\".*?</details>\s*", re.DOTALL
)


def takes(value: object) -> bool:
    chat = _chat(value)
    return isinstance(chat.get("history"), dict) and isinstance(chat["history"].get("messages"), dict | list)


def read(value: Any, where: str) -> Parcel:
    """Return one chat. Raises BadFile."""
    chat = _chat(value)
    history = chat["history"]
    nodes: Mapping[str, Any] = history["messages"] if isinstance(history["messages"], dict) else {}
    nodes = {key: node for key, node in nodes.items() if isinstance(node, dict)}
    texts = {key: text for key, node in nodes.items() if (text := _text(node))}
    turns = [
        ImportedTurn(
            key, _above(key, nodes, texts, where), _ROLES[str(nodes[key]["role"])], text,
            seconds(nodes[key].get("timestamp")), _model(nodes[key]),
        )
        for key, text in texts.items()
    ]  # fmt: skip
    if not turns:
        turns = _listed(chat.get("messages") or history["messages"])
    params = chat.get("params")
    system = params.get("system") if isinstance(params, dict) else chat.get("system")
    head = history.get("currentId")
    return parcel_of(
        SOURCE,
        str(value.get("id") or chat.get("id") or ""),
        turns,
        title=value.get("title") or chat.get("title"),
        created_at=seconds(value.get("created_at")) or seconds(chat.get("timestamp")),
        updated_at=seconds(value.get("updated_at")),
        head=_head(head, nodes, texts),
        system_prompt=system.strip() if isinstance(system, str) else "",
        where=where,
    )


def _chat(value: object) -> Mapping[str, Any]:
    """Return the chat itself, which newer exports wrap in a row of the database."""
    if not isinstance(value, dict):
        return {}
    return value["chat"] if isinstance(value.get("chat"), dict) else value


def _text(node: Mapping[str, object]) -> str:
    if str(node.get("role")) not in _ROLES:
        return ""
    return _FOLDED.sub("", text_of(node.get("content"))).strip()


def _model(node: Mapping[str, object]) -> str | None:
    model = node.get("modelName") or node.get("model")
    return model if isinstance(model, str) else None


def _above(key: str, nodes: Mapping[str, Any], texts: Mapping[str, str], where: str) -> str | None:
    seen = {key}
    above: Any = nodes[key].get("parentId")
    while above is not None and above not in texts:
        if not isinstance(above, str) or above in seen or above not in nodes:
            raise bad_file("tree", where=where)
        seen.add(above)
        above = nodes[above].get("parentId")
    return None if above is None else str(above)


def _head(current: Any, nodes: Mapping[str, Any], texts: Mapping[str, str]) -> str | None:
    seen: set[str] = set()
    while isinstance(current, str) and current in nodes and current not in texts and current not in seen:
        seen.add(current)
        current = nodes[current].get("parentId")
    return current if isinstance(current, str) and current in texts else None


def _listed(messages: object) -> list[ImportedTurn]:
    """Return the turns of a chat that has no tree."""
    if not isinstance(messages, list):
        return []
    return in_a_row(
        ImportedTurn(
            f"#{number}", None, _ROLES[str(message["role"])], text,
            seconds(message.get("timestamp")), _model(message),
        )
        for number, message in enumerate(messages)
        if isinstance(message, dict) and (text := _text(message))
    )  # fmt: skip
