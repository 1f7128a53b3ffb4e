"""Reads ChatGPT's data export: conversations.json, a list of trees called `mapping`.

What is taken: the texts of people and of the model, with every version and branch. Left out: hidden
and empty nodes, system notes, calls of tools and their results; what followed them is hung onto
what came before. Pictures and sound become a word in brackets, a sound's transcript its text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from twokeys.ids import new_id
from twokeys.store.parcel import Parcel, bad_file, in_order, is_time
from twokeys.types import Conversation, Message, Role

_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant"}
_PLAIN_TYPES = ("text", "multimodal_text", "code")
_ATTACHMENTS = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


def read(conversations: Sequence[Any]) -> list[Parcel]:
    """Return the conversations that have a text in them. Raises BadFile."""
    parcels = [_parcel(values, number) for number, values in enumerate(conversations, 1)]
    kept = [parcel for parcel in parcels if parcel.messages]
    if not kept:
        raise bad_file("nothing")
    return kept


def _parcel(values: Any, number: int) -> Parcel:
    where = f"conversation {number}"
    if not isinstance(values, dict) or not isinstance(values.get("mapping"), dict):
        raise bad_file("field", where=where, field="mapping")
    title = values.get("title")
    created_at = values.get("create_time")
    created_at = float(created_at) if is_time(created_at) else 0.0
    updated_at = values.get("update_time")
    conversation_id = new_id()
    tree = _Tree(values["mapping"], where)
    new_ids = {node: new_id() for node in tree.texts}
    found = [
        Message(
            id=new_ids[node],
            conversation_id=conversation_id,
            parent_id=new_ids.get(tree.kept_above(node) or ""),
            role=role,
            content=text,
            created_at=_time_of(tree.nodes[node], created_at),
            finish_reason="stop" if role == "assistant" else None,
            provenance=_provenance(tree.nodes[node]) if role == "assistant" else {},
        )
        for node, (role, text) in tree.texts.items()
    ]
    found.sort(key=lambda message: message.created_at)
    messages = in_order(found, where)
    head = tree.head(values.get("current_node"))
    last = messages[-1].id if messages else None
    conversation = Conversation(
        id=conversation_id,
        title=title.strip() if isinstance(title, str) else "",
        created_at=created_at,
        updated_at=float(updated_at) if is_time(updated_at) else created_at,
        title_by="model",
        head_id=new_ids[head] if head is not None else last,
    )
    return Parcel(conversation, messages)


class _Tree:
    """The nodes of one `mapping`, and which of them hold a text that is kept."""

    def __init__(self, mapping: Mapping[str, Any], where: str) -> None:
        self._where = where
        self.nodes = {key: node for key, node in mapping.items() if isinstance(node, dict)}
        self.texts: dict[str, tuple[Role, str]] = {}
        for key, node in self.nodes.items():
            text = _text_of(node.get("message"))
            if text is not None:
                self.texts[key] = text

    def kept_above(self, key: str) -> str | None:
        """Return the nearest kept node above, or None at the top."""
        seen = {key}
        above = self.nodes[key].get("parent")
        while above is not None and above not in self.texts:
            if not isinstance(above, str) or above in seen or above not in self.nodes:
                raise bad_file("tree", where=self._where)
            seen.add(above)
            above = self.nodes[above].get("parent")
        return above

    def head(self, current: Any) -> str | None:
        """Return the kept node in which the shown branch ends, None when the file does not say."""
        if not isinstance(current, str) or current not in self.nodes:
            return None
        return current if current in self.texts else self.kept_above(current)


def _text_of(message: Any) -> tuple[Role, str] | None:
    """Return role and text of a node's message, or None when it is nothing a person read."""
    if not isinstance(message, dict):
        return None
    author, content, metadata = (message.get(name) or {} for name in ("author", "content", "metadata"))
    if not all(isinstance(part, dict) for part in (author, content, metadata)):
        return None
    role = _ROLES.get(author.get("role") or "")
    hidden = metadata.get("is_visually_hidden_from_conversation")
    to_a_tool = role == "assistant" and (message.get("recipient") or "all") != "all"
    if role is None or hidden or to_a_tool or content.get("content_type") not in _PLAIN_TYPES:
        return None
    parts = content.get("parts")
    pieces = [_piece(part) for part in parts] if isinstance(parts, list) else [content.get("text")]
    text = "\n\n".join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    return (role, text) if text else None


def _piece(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    if isinstance(part.get("text"), str):
        return str(part["text"])
    return _ATTACHMENTS.get(str(part.get("content_type")))


def _time_of(node: Mapping[str, Any], otherwise: float) -> float:
    value = node["message"].get("create_time")
    return float(value) if is_time(value) else otherwise


def _provenance(node: Mapping[str, Any]) -> dict[str, Any]:
    metadata = node["message"].get("metadata") or {}
    model = metadata.get("model_slug")
    return {"imported_from": "chatgpt", **({"model": model} if isinstance(model, str) else {})}
