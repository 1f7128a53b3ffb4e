"""LM Studio's conversations: files named *.conversation.json, a list of messages with their versions.

All versions are taken; what follows hangs onto the one that was selected. Left out: thoughts, calls of
tools, attached files.
"""

from collections.abc import Mapping
from typing import Any

from twokeys.store.parcel import ImportedTurn, Parcel, fingerprint, parcel_of, seconds, text_of
from twokeys.types import Role

SOURCE = "lmstudio"
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant"}
_SYSTEM_FIELD = "llm.prediction.systemPrompt"


def takes(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("messages"), list)
        and any(isinstance(message, dict) and "versions" in message for message in value["messages"])
    )


def read(value: Any, where: str) -> Parcel:
    """Return one conversation. Raises BadFile."""
    created = seconds(value.get("createdAt"))
    turns: list[ImportedTurn] = []
    parent: str | None = None
    for number, message in enumerate(value["messages"]):
        versions = message.get("versions") if isinstance(message, dict) else None
        selected: str | None = None
        for place, version in enumerate(versions if isinstance(versions, list) else ()):
            role, text = _ROLES.get(str(version.get("role"))), _text(version)
            if role is not None and text:
                turns.append(ImportedTurn(f"{number}.{place}", parent, role, text, None, _model(version)))
                if selected is None or place == message.get("currentlySelected"):
                    selected = turns[-1].key
        parent = selected or parent
    written = (seconds(value.get(name)) for name in ("userLastMessagedAt", "assistantLastMessagedAt"))
    return parcel_of(
        SOURCE,
        fingerprint(value.get("createdAt"), [turn.text for turn in turns[:1]]),
        turns,
        title=value.get("name"),
        created_at=created,
        updated_at=max((at for at in written if at is not None), default=created),
        head=parent,
        system_prompt=_system_prompt(value),
        where=where,
    )


def _text(version: Any) -> str:
    steps = version.get("steps")
    if not isinstance(steps, list):
        return text_of(version.get("content"))
    blocks = [
        text_of(step.get("content"))
        for step in steps
        if isinstance(step, dict) and step.get("type") == "contentBlock" and not _is_thought(step)
    ]
    return "\n\n".join(block for block in blocks if block)


def _is_thought(step: Mapping[str, object]) -> bool:
    style = step.get("style")
    return isinstance(style, dict) and style.get("type") == "thinking"


def _model(version: Mapping[str, object]) -> str | None:
    sender = version.get("senderInfo")
    name = sender.get("senderName") if isinstance(sender, dict) else None
    return name if isinstance(name, str) else None


def _system_prompt(value: Mapping[str, object]) -> str:
    config = value.get("perChatPredictionConfig")
    fields = config.get("fields") if isinstance(config, dict) else None
    settings = (
        [field for field in fields or () if isinstance(field, dict)] if isinstance(fields, list) else []
    )
    prompts = [field.get("value") for field in settings if field.get("key") == _SYSTEM_FIELD]
    prompts.append(value.get("systemPrompt"))
    return next((prompt.strip() for prompt in prompts if isinstance(prompt, str) and prompt.strip()), "")
