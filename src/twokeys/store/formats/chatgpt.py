"""Reads ChatGPT's data export: conversations.json, a list of trees called `mapping`.

What is taken: the texts of people and of the model, with every version and branch. Left out: hidden
and empty nodes, system notes, calls of tools and their results; what followed them is hung onto
what came before. Pictures and sound become a word in brackets, a sound's transcript its text; the
marks of footnotes are taken out.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, bad_file, fingerprint, parcel_of, seconds
from twokeys.types import Role

SOURCE = "chatgpt"

_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant"}
_MARKED = re.compile("\ue200([^\ue200\ue201]*)\ue201")
_BETWEEN = "\ue202"
_LEFTOVER_MARKS = re.compile("[\ue200-\ue206]")
_PLAIN_TYPES = ("text", "multimodal_text", "code")
_ATTACHMENTS = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


def takes(value: object) -> bool:
    return isinstance(value, dict) and "mapping" in value


def read(value: Any, where: str) -> Parcel:
    """Return one conversation. Raises BadFile."""
    if not isinstance(value["mapping"], dict):
        raise bad_file("field", where=where, field="mapping")
    tree = _Tree(value["mapping"], where)
    created_at = seconds(value.get("create_time"))
    turns = [
        ImportedTurn(
            key, tree.kept_above(key), role, text,
            seconds(tree.nodes[key]["message"].get("create_time")), _model(tree.nodes[key]),
        )
        for key, (role, text) in tree.texts.items()
    ]  # fmt: skip
    turns.sort(key=lambda turn: (created_at or 0.0) if turn.at is None else turn.at)
    return parcel_of(
        SOURCE,
        str(value.get("conversation_id") or value.get("id") or fingerprint(sorted(tree.texts))),
        turns,
        title=value.get("title"),
        created_at=created_at or 0.0,
        updated_at=seconds(value.get("update_time")) or created_at or 0.0,
        head=tree.head(value.get("current_node")),
        where=where,
    )


class _Tree:
    """The nodes of one `mapping`, and which of them hold a text that is kept."""

    def __init__(self, mapping: Mapping[str, object], where: str) -> None:
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
        while above is not None:
            if not isinstance(above, str) or above in seen or above not in self.nodes:
                raise bad_file("tree", where=self._where)
            if above in self.texts:
                break
            seen.add(above)
            above = self.nodes[above].get("parent")
        return above

    def head(self, current: object) -> str | None:
        """Return the kept node in which the shown branch ends, None when the file does not say."""
        if not isinstance(current, str) or current not in self.nodes:
            return None
        return current if current in self.texts else self.kept_above(current)


def _text_of(message: object) -> tuple[Role, str] | None:
    """Return role and text of a node's message, or None when it is nothing a person read."""
    if not isinstance(message, dict):
        return None
    author, content, metadata = (message.get(name) or {} for name in ("author", "content", "metadata"))
    if not all(isinstance(part, dict) for part in (author, content, metadata)):
        return None
    role = _ROLES.get(str(author.get("role")))
    hidden = metadata.get("is_visually_hidden_from_conversation")
    to_a_tool = role == "assistant" and (message.get("recipient") or "all") != "all"
    if role is None or hidden or to_a_tool or content.get("content_type") not in _PLAIN_TYPES:
        return None
    parts = content.get("parts")
    pieces = [_piece(part) for part in parts] if isinstance(parts, list) else [content.get("text")]
    text = "\n\n".join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    text = without_marks(text)
    return (role, text) if text.strip() else None


def _piece(part: object) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    if isinstance(part.get("text"), str):
        return str(part["text"])
    return _ATTACHMENTS.get(str(part.get("content_type")))


def _model(node: Mapping[str, Any]) -> str | None:
    metadata = node["message"].get("metadata")
    model = metadata.get("model_slug") if isinstance(metadata, dict) else None
    return model if isinstance(model, str) else None


def without_marks(text: str) -> str:
    """Return a text without the marks that ChatGPT's page turns into footnotes and links.

    They stand between private-use characters: a kind and its fields. What a person would have read
    of them (a link's words, a thing's name) stays.
    """
    return _LEFTOVER_MARKS.sub("", _MARKED.sub(_shown_words, text))


def _shown_words(match: re.Match[str]) -> str:
    kind, *fields = match[1].split(_BETWEEN)
    if kind == "url" and fields:
        return fields[0]
    if kind == "entity" and fields:
        try:
            names = json.loads(fields[0])
        except ValueError:
            return ""
        return names[1] if isinstance(names, list) and len(names) > 1 and isinstance(names[1], str) else ""
    return ""
