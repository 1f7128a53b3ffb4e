"""How the page behaves around what is drawn: where the cursor is, what closes a phone's sidebar, and the
framework's own words in the reader's language.
"""

from collections.abc import Mapping

from twokeys.ui import looks, navigation, notices
from twokeys.ui.words import t
from twokeys.web.component.shell import Focus, shell

CLOSES_SIDEBAR = ", ".join(
    (
        ".st-key-nav a",
        ".st-key-conversation_new button",
        '.st-key-recent [class*="st-key-open_"] button',
        ".st-key-model_choose a",
        ".st-key-memory_open a",
    )
)
MESSAGE_BOX = ".st-key-chat_send textarea"
FIELDS: Mapping[str, str] = {
    "rename": ".st-key-rename_title input",
    "tags": ".st-key-tags_new input",
    "fill_prompt": ".st-key-fill_prompt_0 textarea",
}
"""The field of a dialog that the cursor goes to."""
FRAMEWORK: Mapping[str, str] = {
    "Skip to main content": "skip",
    "Main menu": "menu",
    "Theme": "theme",
    "System": "system",
    "Light": "light",
    "Dark": "dark",
    "About": "about",
    "Made with Streamlit v": "made_with",
    "Press Enter to submit form": "enter_saves",
    "Press Enter to apply": "enter_applies",
    "Press ⌘+Enter to apply": "ctrl_enter_applies",
    "Press Ctrl+Enter to apply": "ctrl_enter_applies",
    "Press ⌘+Enter to submit form": "ctrl_enter_applies",
    "Press Ctrl+Enter to submit form": "ctrl_enter_applies",
    "file upload": "upload",
    "Help": "help",
    "Help for …": "help_for",
    "Send message": "send",
    "Shortcut …": "shortcut",
    "Submit": "send",
    "Clear value": "clear",
    "Clear all": "clear",
    "Close": "close",
    "Open": "open",
    "Increment": "more",
    "Decrement": "less",
    "Selected values": "selected",
    "Remove …": "remove",
    "Expand sidebar": "expand",
    "Collapse sidebar": "collapse",
    "Sidebar": "sidebar",
    "Notifications": "notifications",
    "Loading…": "loading",
    "Running...": "running",
    "Stop": "stop",
    "Show password": "show_password",
    "Hide password": "hide_password",
    "No results": "no_results",
    "Choose options": "choose",
    "Choose an option": "choose",
    "Select all": "select_all",
    "Chat message from …": "message_from",
    "Markdown content": "text",
    "Copy to clipboard": "copy",
    "Connecting": "connecting",
    "Connection error": "lost",
    "Is Streamlit still running? …": "lost_hint",
    "Streamlit server is not responding…": "lost_hint",
    "Cannot connect to Streamlit …": "lost_hint",
}
"""What Streamlit says by itself, and the text of ours for it."""


def draw(page: str) -> None:
    """Look after the page; `page` is the screen's name. Not on the plain page, which works without it."""
    if navigation.plain():
        return
    words = {english: t(f"framework.{name}", rest="…") for english, name in FRAMEWORK.items()}
    shell(focus=_focus(page), closes=CLOSES_SIDEBAR, words=words, theme=looks.theme() or "", key="shell")


def _focus(page: str) -> Focus | None:
    question = notices.question()
    if question is not None:
        field = FIELDS.get(question.name)
        return Focus(field, f"{question.name} {sorted(question.params.items())}") if field else None
    if page == "chat":
        return Focus(MESSAGE_BOX, navigation.place(), again=notices.questions_closed())
    return None
