"""Everything by the keyboard: the palette, the sheet of shortcuts, the last question, the force clear."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from .conftest import App, Chat, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOVED = """(root) => {
  const host = root.getRootNode().host ?? root.parentElement
  const place = host.parentElement
  host.remove()
  place.append(host)
}"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(home, command=(server, str(home))) as running:
        yield running


def opened(page: Page) -> Page:
    page.keyboard.press("Control+k")
    expect(page.locator(".tk-palette-field")).to_be_focused()
    return page


@pytest.fixture
def chat(chat: Chat) -> Chat:
    expect(chat.page.locator(".tk-palette-field")).to_have_count(1)  # from now on it listens
    return chat


def test_the_palette_leads_to_pages_commands_presets_and_the_message_that_has_the_words(chat: Chat) -> None:
    page = chat.page
    chat.ask_and_wait("Where does the platypus sleep?")
    first = chat.conversation()
    page.keyboard.press("Control+Shift+O")  # a new conversation, by its shortcut
    expect(page.locator(".st-key-examples")).to_be_visible()
    expect(chat.box).to_be_focused()
    page.wait_for_url(lambda url: urlsplit(url).query not in ("", first))

    opened(page).keyboard.type("precise")
    expect(page.locator(".tk-palette [aria-selected=true]")).to_contain_text("Precise")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.30")

    opened(page).keyboard.type("memo")  # single letters are shortcuts of the framework, not while one types
    page.keyboard.press("Enter")
    expect(page.locator(".tk-h1")).to_contain_text("Memory")

    opened(page).keyboard.type("platypus")
    expect(page.locator(".tk-palette-row")).to_have_count(1)
    expect(page.locator(".tk-palette-row [title], .tk-palette-row .tk-palette-at")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(".tk-found")).to_contain_text("platypus")

    opened(page).keyboard.type("切换到")  # found by its words in the other language
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    opened(page).keyboard.press("Escape")
    expect(page.locator(".tk-palette-field")).not_to_be_visible()
    opened(page).keyboard.type("switch to english")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_cursor_comes_back_though_the_page_was_redrawn_under_the_palette(chat: Chat) -> None:
    page = chat.page
    expect(chat.box).to_be_focused()
    opened(page)
    page.locator(".tk-palette-root").evaluate(MOVED)  # as it is when parts of the page are made anew
    page.locator(".st-key-language_switch").get_by_text("中", exact=True).dispatch_event("click")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("dialog.tk-palette:modal")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".tk-palette-field")).not_to_be_visible()
    expect(chat.box).to_be_focused()
    page.locator(".st-key-language_switch").get_by_text("EN", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_sheet_of_shortcuts_opens_by_two_keys_and_closes_by_escape(chat: Chat) -> None:
    page, sheet = chat.page, chat.page.locator(".tk-sheet")
    page.keyboard.press("Control+/")
    expect(sheet).to_contain_text("Force clear")
    page.keyboard.press("Escape")
    expect(sheet).not_to_be_visible()
    chat.box.press_sequentially("?")
    expect(sheet).not_to_be_visible()  # a question mark is a question mark where one writes
    chat.box.fill("")
    chat.box.blur()
    page.keyboard.press("?")
    expect(sheet).to_be_visible()


def test_the_last_question_is_edited_by_the_arrow_and_the_cursor_comes_back(chat: Chat) -> None:
    page = chat.page
    chat.ask_and_wait("Where does the ibex sleep?")
    chat.box.press("ArrowUp")
    expect(page.locator(".tk-editor")).to_be_focused()
    expect(page.locator(".tk-editor")).to_have_value("Where does the ibex sleep?")
    page.keyboard.press("Escape")
    expect(chat.box).to_be_focused()
    chat.box.fill("half a thought")
    chat.box.press("ArrowUp")  # in a text the arrow moves the cursor
    expect(page.locator(".tk-editor")).to_have_count(0)
    chat.box.fill("")


def test_a_force_clear_by_the_keyboard_can_be_taken_back(chat: Chat) -> None:
    page = chat.page
    chat.ask_and_wait("Where does the lynx sleep?")
    page.keyboard.press("Control+Alt+x")
    expect(page.locator(".tk-divider")).to_contain_text("no longer reads")
    page.locator(".st-key-undo_bar button").first.click()
    expect(page.locator(".tk-divider")).to_contain_text("still reads")


def test_a_slash_in_the_box_offers_prompts_whose_blanks_are_asked_for(chat: Chat) -> None:
    page = chat.page
    chat.box.press_sequentially("/transl")
    menu = page.locator(".tk-slash [aria-selected=true]")
    expect(menu).to_contain_text("Translate")
    chat.box.press("Enter")
    first = page.locator(".st-key-fill_prompt_0 textarea")
    expect(first).to_be_focused()
    expect(first).to_have_value("Chinese")
    page.keyboard.press("Tab")
    page.keyboard.type("The owl sleeps by day.")
    page.locator(".st-key-fill_prompt_put button").click()
    expect(chat.box).to_have_value(
        re.compile(r"^Translate .* into Chinese\..*The owl sleeps by day\.$", re.S)
    )
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.30")
    expect(page.locator(".tk-user")).to_have_count(0)  # nothing is sent
    chat.box.fill("/usr/bin is a folder")
    expect(page.locator(".tk-slash")).not_to_be_visible()
    chat.box.fill("")


def test_a_conversation_is_taken_along_as_a_page_that_opens_without_the_app(
    chat: Chat, tmp_path: Path
) -> None:
    page = chat.page
    chat.ask_and_wait("Where does the marten sleep?")
    opened(page).keyboard.type("export or share")
    page.keyboard.press("Enter")
    with page.expect_download() as saved:
        page.locator("[class*=st-key-export_html] button").click()
    file = tmp_path / "page.html"
    saved.value.save_as(file)
    page.keyboard.press("Escape")
    reader = page.context.new_page()
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(file.as_uri())
    expect(reader.locator(".user")).to_contain_text("Where does the marten sleep?")
    reader.locator("summary").click()
    expect(reader.locator("details")).to_contain_text("temperature 0.7")
    assert asked == [file.as_uri()]
