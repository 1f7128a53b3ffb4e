"""What the palette offers, and what happens when something is chosen there or its shortcut is pressed."""

from collections.abc import Callable, Iterable

import streamlit as st

from twokeys.core.presets import BUILT_IN
from twokeys.errors import TwoKeysError
from twokeys.i18n import LANGUAGES, translate
from twokeys.types import Conversation
from twokeys.ui import (
    actions,
    changes,
    downloads,
    drafts,
    navigation,
    notices,
    prompts,
    shortcuts,
    state,
    words,
)
from twokeys.ui.words import t
from twokeys.web.component import Action, component_texts
from twokeys.web.component.palette import PaletteItem, palette


def draw(pages: Iterable[str]) -> None:
    """Listen on every page; `pages` are the screens' names. Not on the plain page, which works without it."""
    if navigation.plain():
        return
    palette(
        [*_commands(), *_pages(pages), *_presets(), *_forms()],
        shortcuts.sheet(),
        texts=component_texts(words.language(), "palette"),
        language=words.language(),
        key="palette",
        on_action=_chosen,
    )


def _item(kind: str, name: str, text: str) -> PaletteItem:
    """Return an item that is found by its words in the other language too."""
    others = " ".join(translate(text, language) for language in LANGUAGES)
    return PaletteItem(kind, name, t(text), f"{others} {name}", shortcuts.KEYS.get(name, ""))


def _commands() -> list[PaletteItem]:
    return [_item("command", name, f"palette.command.{name}") for name in (*COMMANDS, *IN_THE_PAGE)]


def _pages(names: Iterable[str]) -> list[PaletteItem]:
    return [_item("page", name, f"ui.page.{name}") for name in names]


def _presets() -> list[PaletteItem]:
    return [_item("preset", name, f"presets.{name}.title") for name in BUILT_IN]


def _forms() -> list[PaletteItem]:
    """Return the forms that can be typed into the message box; its menu of "/" names them."""
    return [
        PaletteItem("form", name, t(f"structured.typed.{name}"), note=t(f"structured.typed.{name}_note"))
        for name in TYPED_FORMS
    ]


def _chosen(action: Action) -> None:
    try:
        _do(action)
    except TwoKeysError as error:
        notices.tell_error(error)


def _do(action: Action) -> None:
    name = action.text or ""
    match action.type:
        case "command" if name in COMMANDS:
            COMMANDS[name](navigation.conversation())
        case "page":
            navigation.go_to(name)
        case "conversation":
            _open(name, action)
        case "preset":
            changes.choose_preset(navigation.conversation().id, name)
        case "model":
            downloads.use(name)
        case "prompt":
            prompts.choose(name)
        case "form" if name in TYPED_FORMS:
            drafts.put_back(f"/{name} ")
        case _:
            pass  # a browser cannot be trusted


def _open(conversation_id: str, action: Action) -> None:
    state.services().conversations.get(conversation_id)  # refused here when it is gone
    if action.message is None:
        navigation.open_conversation(conversation_id)
    else:
        marked = action.data.get("words")
        terms = tuple(str(word) for word in marked) if isinstance(marked, list) else ()
        navigation.open_message(conversation_id, action.message, terms)
    navigation.go_to("chat", c=conversation_id)


def _new(conversation: Conversation) -> None:
    navigation.go_to("chat", c=navigation.start_conversation().id)


def _release(conversation: Conversation) -> None:
    with st.spinner(t("sidebar.release.running")):
        actions.release(conversation)


def _rename(conversation: Conversation) -> None:
    notices.ask("rename", conversation_id=conversation.id)


def _pin(conversation: Conversation) -> None:
    pinned = state.services().conversations.pin(conversation.id, not conversation.pinned).pinned
    notices.tell(notices.Notice(t("palette.pinned" if pinned else "palette.unpinned")))


def _tags(conversation: Conversation) -> None:
    notices.ask("tags", conversation_id=conversation.id)


def _shorten(conversation: Conversation) -> None:
    notices.ask("shorten", conversation_id=conversation.id)


def _share(conversation: Conversation) -> None:
    notices.ask("share", conversation_id=conversation.id)


def _delete(conversation: Conversation) -> None:
    actions.delete_conversation(conversation.id)


def _language(conversation: Conversation) -> None:
    words.set_language("en" if words.language() == "zh" else "zh")


TYPED_FORMS = ("table", "json")
IN_THE_PAGE = ("edit", "stop", "shortcuts")
"""Commands that the browser carries out alone (frontend/src/palette.ts)."""
COMMANDS: dict[str, Callable[[Conversation], None]] = {
    "new": _new,
    "release": _release,
    "rename": _rename,
    "pin": _pin,
    "tags": _tags,
    "shorten": _shorten,
    "share": _share,
    "archive": actions.archive_conversation,
    "delete": _delete,
    "language": _language,
}
"""What Python does for a command."""
