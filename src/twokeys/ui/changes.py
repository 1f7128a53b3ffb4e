"""A conversation's settings as a person changes them on a screen; what is refused is told, not stored."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twokeys.core import by_hand
from twokeys.errors import TwoKeysError
from twokeys.types import Settings
from twokeys.ui import notices
from twokeys.ui.state import services, value_of


def save_settings(conversation_id: str, **changes: Any) -> None:
    """Change fields of a conversation's settings; for sampling parameters there is `set_by_hand`."""
    change_settings(conversation_id, lambda old: replace(old, **changes))


def save_setting_of(conversation_id: str, name: str, key: str) -> None:
    """Change a field of a conversation's settings to what the widget named key holds."""
    save_settings(conversation_id, **{name: value_of(key)})


def set_by_hand(conversation_id: str, name: str, value: object) -> None:
    """Set a sampling parameter as a person's choice: neither a task nor Automatic changes it again."""
    presets = services().presets
    change_settings(conversation_id, lambda old: by_hand.set_parameters(old, presets, {name: value}))


def reset_by_hand(conversation_id: str, names: tuple[str, ...]) -> None:
    """Set sampling parameters back to their defaults; advice may change them again."""
    presets = services().presets
    change_settings(conversation_id, lambda old: by_hand.reset_parameters(old, presets, names))


def choose_preset(conversation_id: str, name: str) -> None:
    """Apply a preset as a person's choice."""
    presets = services().presets
    change_settings(conversation_id, lambda old: by_hand.choose_preset(old, presets, name))


def change_settings(conversation_id: str, change: Callable[[Settings], Settings]) -> None:
    """Store what `change` makes of a conversation's settings."""
    try:
        old = services().conversations.get(conversation_id).settings
        new = by_hand.drop_stale_preset(change(old), services().presets)
        if new != old:
            services().conversations.set_settings(conversation_id, new)
    except TwoKeysError as error:
        notices.tell_error(error)
