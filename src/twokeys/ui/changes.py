"""A conversation's settings as a person changes them on a screen; what is refused is told, not stored."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twokeys.errors import TwoKeysError
from twokeys.types import Settings
from twokeys.ui import notices
from twokeys.ui.state import services


def save_settings(conversation_id: str, **changes: Any) -> None:
    """Change the settings of a conversation; sampling parameters may be given by their own names.

    What is out of range is told to the person and not stored.
    """
    try:
        old = services().repository.get_conversation(conversation_id).settings
        own = {name: changes.pop(name) for name in list(changes) if hasattr(old.sampling, name)}
        new = replace(old, sampling=old.sampling.with_(**own), **changes)
        if new != old:
            services().chat.set_settings(conversation_id, new)
    except TwoKeysError as error:
        notices.tell_error(error)


def set_by_hand(conversation_id: str, name: str, value: Any) -> None:
    """Set a sampling parameter as a person's choice: neither a task nor Automatic changes it again."""
    settings = services().repository.get_conversation(conversation_id).settings
    pinned = with_pinned(settings, (name,))
    save_settings(conversation_id, **{name: value, "preset": None, "pinned": pinned})


def with_pinned(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Return what advice must leave alone from now on: what was set by hand before, and these."""
    return tuple(dict.fromkeys((*settings.pinned, *names)))
