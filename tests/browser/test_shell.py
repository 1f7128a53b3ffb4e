"""The page around the conversation: cursor, drafts, undo, resets, hits, phone's sidebar, words, colours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .conftest import App, Chat, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OWN_NAMES = {"TwoKeys", "min_p", "top_k", "top_p", "top_n_sigma", "typical_p"}
"""Labels in Latin letters that are no English sentence."""
CONTRAST = """(selector) => {
    const linear = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
    const lum = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b)
    const parse = (text) => text.match(/[\\d.]+/g).map(Number)
        .map((value, at) => (text.startsWith("color(") && at < 3 ? value * 255 : value))
    const behind = (node) => { for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
        const c = parse(getComputedStyle(at).backgroundColor)
        if (c.length < 4 || c[3] === 1) return c.slice(0, 3) }
        return [255, 255, 255] }
    const found = []
    const look = (root) => { for (const node of root.querySelectorAll(selector)) {
            if (!node.innerText?.trim() && !node.querySelector("svg, span")) continue
            const shown = node.querySelector("p, span") ?? node
            const [a, b] = [lum(parse(getComputedStyle(shown).color).slice(0, 3)), lum(behind(node))]
            found.push([node.innerText || node.className, (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]) }
        for (const node of root.querySelectorAll("*")) if (node.shadowRoot) look(node.shadowRoot) }
    look(document)
    return found
}"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(home, command=(server, str(home))) as running:
        yield running


def focused(page: Page) -> str:
    return str(
        page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName")
    )


def answered(chat: Chat, text: str) -> str:
    """Ask and wait; return the address of the conversation."""
    chat.ask_and_wait(text)
    return chat.page.url


def test_the_cursor_is_in_the_message_box_after_loading_and_in_a_new_conversation(chat: Chat) -> None:
    expect(chat.box).to_be_focused()
    answered(chat, "A question for the cursor")
    chat.page.locator(".st-key-conversation_new button").click()
    expect(chat.box).to_be_focused()
    expect(chat.page.locator(".st-key-examples")).to_be_visible()
    chat.page.locator(".st-key-conversation_new button").click()  # the same empty one once more
    expect(chat.box).to_be_focused()


def test_a_draft_survives_a_reload_and_stays_with_its_conversation(chat: Chat) -> None:
    page = chat.page
    answered(chat, "A question with a draft below it")
    chat.box.fill("half a thought")
    page.locator(".tk-title").click()  # whoever leaves the box has said what stands in it
    page.wait_for_timeout(700)
    page.reload()
    expect(chat.box).to_have_value("half a thought")
    page.locator(".st-key-conversation_new button").click()
    expect(chat.box).to_have_value("")
    chat.box.press_sequentially("another one")
    row = page.locator(
        ".st-key-recent [class*=st-key-open_] button", has_text="A question with a draft below it"
    )
    row.click()  # at once: neither the draft nor the click is lost
    expect(chat.box).to_have_value("half a thought")
    page.locator(".st-key-conversation_new button").click()
    expect(chat.box).to_have_value("another one")
    chat.box.fill("")
    page.locator(".st-key-examples").hover()


def test_a_deleted_answer_is_taken_back_where_the_eye_is_and_its_question_answered_again(chat: Chat) -> None:
    page = chat.page
    answered(chat, "A question to be answered again")
    page.locator(".tk-assistant [data-do=delete]").last.click(force=True)
    undo = page.locator(".st-key-undo_bar")
    expect(undo).to_be_in_viewport()
    assert undo.bounding_box()["y"] > page.viewport_size["height"] / 2  # type: ignore[index]
    expect(page.locator(".tk-assistant")).to_have_count(0)
    page.locator(".tk-user [data-do=answer]").click()
    expect(page.locator(".tk-assistant .tk-figures")).to_have_count(1)
    expect(page.locator("[data-do=answer]")).to_have_count(0)


def test_every_cleared_place_stays_marked_and_can_be_read_again(chat: Chat) -> None:
    page = chat.page
    for number in (1, 2):
        answered(chat, f"Question number {number}")
        page.locator(".st-key-force_clear button").first.click()
        expect(page.locator(".tk-divider")).to_have_count(number)
        page.wait_for_timeout(1600)  # a second press so soon is taken for an echo of the shortcut
    first = page.locator(".tk-divider").first
    expect(first).to_contain_text("no longer reads")
    first.locator("[data-do=history_keep]").click()
    expect(first).to_contain_text("still reads")
    page.reload()
    expect(page.locator(".tk-divider")).to_have_count(2)
    expect(page.locator(".tk-divider").first).to_contain_text("still reads")
    expect(page.locator(".tk-divider").last).to_contain_text("no longer reads")


def test_enter_saves_a_new_name(chat: Chat) -> None:
    page = chat.page
    answered(chat, "A question with a new name")
    page.locator("[class*=recent_row_current] [data-testid=stMenuButton] button").first.click()
    page.get_by_text("Rename").first.click()
    field = page.locator(".st-key-rename_title input")
    expect(field).to_be_focused()
    page.keyboard.type("Better name")
    page.keyboard.press("Enter")
    expect(page.locator(".tk-title h1")).to_have_text("Better name")
    expect(page.locator("[role=dialog]")).to_have_count(0)


def test_a_hit_leads_to_its_message_in_the_branch_that_holds_it(chat: Chat) -> None:
    page = chat.page
    answered(chat, "Where does the zebra sleep?")
    page.locator(".tk-user [data-do=edit]").click(force=True)
    page.locator(".tk-editor").fill("Where does the giraffe sleep?")
    page.locator(".tk-editor").press("Control+Enter")
    expect(page.locator(".tk-user")).to_contain_text("giraffe")
    expect(page.locator(".tk-assistant .tk-figures")).to_have_count(1)
    page.locator(".st-key-nav_conversations a").click()
    page.locator(".st-key-conversations_search input").fill("zebra sleep")
    page.keyboard.press("Enter")
    page.locator("[class*=st-key-card_hit_] .tk-note", has_text="zebra").first.wait_for()
    hit = page.locator("[class*=st-key-card_hit_]").filter(has=page.locator("mark", has_text="zebra")).last
    hit.locator("button").click()
    expect(page.locator(".tk-user.tk-found")).to_contain_text("zebra")
    expect(page.locator(".tk-found")).to_be_in_viewport()
    marked = page.evaluate("[...(CSS.highlights.get('tk-found') ?? [])].map((range) => range.toString())")
    assert "zebra" in marked


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context: BrowserContext = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="zh-CN", has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


def test_a_choice_closes_the_sidebar_of_a_phone(phone: Page, app: App) -> None:
    phone.goto(app.url)
    expect(phone.locator(".st-key-chat_send textarea")).to_be_visible()
    sidebar = phone.get_by_test_id("stSidebar")
    for choice in (".st-key-nav_models a", ".st-key-conversation_new button"):
        phone.get_by_test_id("stExpandSidebarButton").click()
        expect(sidebar).to_be_in_viewport()
        phone.locator(choice).click()
        expect(phone.locator(choice)).not_to_be_in_viewport()
    expect(phone.locator(".st-key-chat_send textarea")).to_be_visible()


def test_the_frameworks_words_are_in_the_readers_language(browser: Browser, app: App) -> None:
    context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(app.url)
    expect(page.locator(".st-key-chat_send textarea")).to_be_visible()
    expect(page.get_by_text("跳到正文")).to_have_count(1)
    labels: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('[aria-label], [title]')]
            .flatMap((e) => [e.getAttribute('aria-label'), e.getAttribute('title')]).filter(Boolean)"""
    )
    assert {
        label for label in labels if re.fullmatch(r"[\x00-\x7f]*[A-Za-z]{3}[\x00-\x7f]*", label)
    } <= OWN_NAMES
    page.get_by_test_id("stMainMenu").or_(page.get_by_test_id("stMainMenuButton")).first.click()
    menu = page.get_by_test_id("stMainMenuList")
    expect(menu).to_contain_text("深色")
    expect(menu).not_to_contain_text("Light")
    page.keyboard.press("Escape")
    page.locator(".st-key-language_switch").get_by_text("EN", exact=True).click()
    expect(page.get_by_text("Skip to main content")).to_have_count(1)
    page.locator(".st-key-language_switch").get_by_text("中", exact=True).click()
    expect(page.get_by_text("跳到正文")).to_have_count(1)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(browser: Browser, app: App, scheme: Any) -> None:
    context = browser.new_context(
        locale="zh-CN", viewport={"width": 1440, "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    chat = Chat(page, app.url).open()
    answered(chat, "A question for the eyes")
    found = page.evaluate(CONTRAST, ".tk-figures, .tk-note, .tk-under, .tk-context span")
    page.locator("[class*=recent_row_current] [data-testid=stMenuButton] button").first.click()
    page.get_by_text(re.compile("Rename|重命名")).first.click()
    expect(page.locator("[role=dialog] button[data-testid*=primary]")).to_be_visible()
    buttons = page.evaluate(CONTRAST, "[data-testid*=stBaseButton-primary]")
    assert buttons
    found += buttons
    assert len(found) > 5
    assert [(text[:40], round(ratio, 2)) for text, ratio in found if ratio < 4.5] == []
    context.close()
