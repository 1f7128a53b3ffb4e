"""A file brought in on the conversations page: what came, what did not, what is here already."""

import json
from collections.abc import Callable
from typing import Any

from tests.ui.conftest import Browser

from twokeys.i18n import translate
from twokeys.services import Services

Open = Callable[..., Browser]


def chat(name: str, title: str, *, torn: bool = False) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [f"words of {title}"]}
    node = {"parent": "gone" if torn else None, "message": {"author": {"role": "user"}, "content": content}}
    return {"conversation_id": name, "title": title, "create_time": 1, "mapping": {"q": node}}


def put(page: Browser, name: str, value: Any) -> None:
    """Choose a file in the card's field."""
    page.at.file_uploader(key="import_file").set_value(
        (name, json.dumps(value).encode(), "application/json")
    ).run()
    page.check()


def titles(services: Services) -> list[str]:
    return sorted(c.title for c in services.repository.list_conversations() if c.head_id is not None)


def test_a_file_brings_what_it_can_and_asks_about_what_is_here(open_tab: Open, services: Services) -> None:
    page = open_tab("conversations")
    put(page, "chats.json", [chat("a", "amber"), chat("b", "torn <b>title", torn=True)])
    text = page.text()
    assert translate("ui.import.done", "en", count=1, source="ChatGPT") in text
    assert "torn &lt;b&gt;title" in text and "do not form a tree" in text
    put(page, "more.json", [chat("a", "amber"), chat("c", "cobalt")])
    assert translate("ui.import.already_here", "en", count=1) in page.text()
    assert titles(services) == ["amber", "cobalt"]
    page.click("import_again")
    assert titles(services) == ["amber", "amber", "cobalt"]
    page.run()
    assert titles(services) == ["amber", "amber", "cobalt"]


def test_lines_can_be_chosen_and_what_cannot_be_used_is_explained(open_tab: Open, services: Services) -> None:
    page = open_tab("conversations")
    put(page, "lines.jsonl", {"messages": [{"role": "user", "content": "hello there"}]})
    assert titles(services) == ["hello there"]
    put(page, "odd.json", {"nothing": "of ours"})
    assert translate("store.bad.unknown_format", "en") in page.text()
    assert titles(services) == ["hello there"]
