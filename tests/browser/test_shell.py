"""The page around the conversation: cursor, drafts, undo, resets, hits, phone's sidebar, words, colours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FloatRect, Page, expect

from twokeys.config import load_config, prepare_home
from twokeys.store.repository import Repository
from twokeys.types import Conversation, Message

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
    store_older_talks(home)
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(home, command=(server, str(home))) as running:
        yield running


def store_older_talks(home: Path) -> None:
    config = load_config({"TWOKEYS_HOME": str(home)})
    prepare_home(config)
    repository = Repository.open(config)
    for number in range(8):
        name = f"dated{number:015}"
        repository.create_conversation(Conversation(name, f"An older talk {number}", 1.7e9, 1.7e9))
        repository.add_message(Message(f"{name}-0", name, None, "user", "Hello", 1.7e9))
    repository.close()


def box_of(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, f"{selector} is not on the page"
    return box


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720)])
def test_the_sidebar_shows_keys_force_clear_and_six_dated_conversations(
    browser: Browser, app: App, width: int, height: int, locale: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, locale=locale)
    page = context.new_page()
    Chat(page, app.url).open()
    page.locator(".st-key-key_combination").get_by_role("radio").nth(2).click()  # with its longest words
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.90")
    assert box_of(page, ".st-key-keys_card")["height"] <= 190
    expect(page.locator(".st-key-force_clear button").first).to_be_in_viewport(ratio=1)
    places = [box_of(page, f"[class*=st-key-nav_{name}]") for name in ("here_chat", "writing", "settings")]
    assert len({round(place["y"]) for place in places}) == 1
    dated = page.evaluate(
        """() => [...document.querySelectorAll('[class*=st-key-recent_row] [class*=st-key-open_] button')]
            .filter((row) => row.getBoundingClientRect().bottom <= innerHeight &&
                /\\d/.test(getComputedStyle(row, '::after').content)).length"""
    )
    assert dated >= 6
    page.locator(".st-key-key_combination").get_by_role("radio").nth(1).click()
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.70")
    context.close()


def test_the_scenarios_are_ticks_of_the_length_at_their_places(chat: Chat) -> None:
    page = chat.page
    ticks = page.locator(".st-key-key_scenario [role=radio]")
    for number, tokens in ((0, 512), (2, 2048), (4, 3584)):
        ticks.nth(number).click()
        expect(page.locator(".st-key-keys_card output").nth(1)).to_contain_text(str(tokens))
        thumb = box_of(page, ".st-key-key_max_new_tokens [data-rac][style*=left]")
        tick = ticks.nth(number).bounding_box()
        assert tick is not None
        middle = tick["x"] + tick["width"] / 2
        assert abs(middle - (thumb["x"] + thumb["width"] / 2)) < 6
    ticks.nth(2).click()
    expect(page.locator(".st-key-keys_card output").nth(1)).to_contain_text("2048")


def test_an_example_fills_the_box_and_one_row_stands_under_it(chat: Chat) -> None:
    page = chat.page
    page.locator(".st-key-first_task_creative button").first.click()
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.90")
    example = page.locator("[class*=st-key-example_creative_] button").first
    text = example.inner_text().split("\n")[-1]
    example.click()
    expect(chat.box).to_have_value(text)
    expect(page.locator(".tk-user")).to_have_count(0)
    expect(
        page.locator(".st-key-below .tk-context, .st-key-below .tk-need, .st-key-below .tk-coach")
    ).to_have_count(1)
    quiet = box_of(page, ".st-key-below")
    assert quiet["y"] > box_of(page, ".st-key-chat_send")["y"], "the row stands under the box"
    chat.box.fill("write a story")
    expect(page.locator(".st-key-below .tk-coach")).to_be_visible()
    assert abs(box_of(page, ".st-key-below")["height"] - quiet["height"]) <= 44, "a second line at most"
    chat.box.fill("")


def test_a_system_prompt_is_kept_when_its_popover_is_left(chat: Chat) -> None:
    page = chat.page
    page.locator(".st-key-system_prompt_box button").first.click()
    field = page.locator("[class*=st-key-key_system_prompt] textarea")
    field.fill("Answer in verse.")
    page.locator(".tk-empty, .tk-title").first.click()
    expect(page.locator(".st-key-tool_set_system_prompt")).to_be_visible()
    page.reload()
    page.locator(".st-key-system_prompt_box button").first.click()
    expect(field).to_have_value("Answer in verse.")


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


QUICK_HANDS = """
new MutationObserver((_, observer) => {
  const box = document.querySelector(".st-key-chat_send textarea")
  if (!box) return
  observer.disconnect()
  const value = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")
  value.set.call(box, "typed at once")
  box.dispatchEvent(new Event("input", { bubbles: true }))
}).observe(document, { childList: true, subtree: true })
"""


def test_what_is_typed_before_the_page_is_whole_is_kept(page: Page, app: App) -> None:
    quick = page.context.new_page()
    quick.add_init_script(QUICK_HANDS)
    quick.goto(app.url)
    expect(quick.locator(".st-key-chat_send textarea")).to_have_value("typed at once")
    quick.wait_for_url("**/?c=*")
    quick.wait_for_timeout(1500)  # longer than the pause after which a draft is told
    page.goto(quick.url)
    expect(page.locator(".st-key-chat_send textarea")).to_have_value("typed at once")
    page.locator(".st-key-chat_send textarea").fill("")


def test_a_deleted_answer_is_taken_back_where_the_eye_is_and_its_question_answered_again(chat: Chat) -> None:
    page = chat.page
    answered(chat, "A question to be answered again")
    page.locator(".tk-assistant").last.hover()
    page.locator(".tk-assistant [data-do=delete]:visible").last.click()
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
    for choice in (".st-key-nav_settings a", ".st-key-conversation_new button"):
        phone.get_by_test_id("stExpandSidebarButton").click()
        expect(sidebar).to_be_in_viewport()
        phone.locator(choice).click()
        expect(phone.locator(choice)).not_to_be_in_viewport()
    expect(phone.locator(".st-key-chat_send textarea")).to_be_visible()


def test_a_phone_opens_the_palette_by_the_menu(phone: Page, app: App) -> None:
    phone.goto(app.url)
    expect(phone.locator(".tk-palette-field")).to_have_count(1)
    phone.locator(".st-key-own_menu_open button").first.tap()
    phone.locator(".st-key-palette_open button").tap()
    expect(phone.locator("dialog.tk-palette[open]")).to_be_visible()
    expect(phone.locator(".tk-palette-field")).to_be_focused()


def test_the_message_box_grows_to_two_fifths_of_the_window(chat: Chat) -> None:
    chat.box.fill("\n".join(f"line {number}" for number in range(12)))
    some = chat.box.bounding_box()["height"]
    assert chat.box.evaluate("(box) => box.scrollHeight <= box.clientHeight + 1"), "twelve lines are in sight"
    chat.box.fill("\n".join(f"line {number}" for number in range(60)))
    most = chat.box.bounding_box()["height"]
    assert some < most <= 0.4 * chat.page.viewport_size["height"]  # type: ignore[index]
    chat.box.fill("")


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
    expect(page.get_by_test_id("stMainMenuButton")).not_to_be_visible()
    page.locator(".st-key-language_switch").get_by_text("EN", exact=True).click()
    expect(page.get_by_text("Skip to main content")).to_have_count(1)
    page.locator(".st-key-language_switch").get_by_text("中", exact=True).click()
    expect(page.get_by_text("跳到正文")).to_have_count(1)
    context.close()


def test_the_menu_sets_theme_size_and_the_key_that_sends_for_every_page(page: Page, tmp_path: Path) -> None:
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(tmp_path, command=(server, str(tmp_path))) as app:  # what is set holds for a home
        use_the_menu(Chat(page, app.url).open())


def use_the_menu(chat: Chat) -> None:
    page = chat.page
    menu = page.get_by_test_id("stPopoverBody")
    open_menu = page.locator(".st-key-own_menu_open button").first
    open_menu.click()
    menu.get_by_text("Largest", exact=True).click()
    menu.get_by_text("Ctrl / ⌘ + Enter", exact=True).click()
    expect(page.locator("html")).to_have_css("font-size", "21px")
    menu.get_by_text("Dark", exact=True).click()
    dark = ("background-color", "rgb(22, 25, 26)")
    expect(page.locator(".stApp")).to_have_css(*dark)
    expect(page.locator(".tk-brand b")).to_have_css("color", "rgb(230, 232, 229)")
    page.goto(f"{chat.url}/settings")
    expect(page.locator(".stApp")).to_have_css(*dark)  # the framework remembers it for one address only
    expect(page.locator(".st-key-card_keyboard")).to_contain_text("Ctrl / ⌘ + Enter")
    without_component = page.context.new_page()
    without_component.route("**/draft.js*", lambda route: route.abort())
    without_component.goto(chat.url)
    send_with_two_keys(Chat(without_component, chat.url))
    without_component.close()
    page.goto(chat.url)
    page.locator(".tk-palette-root").wait_for(
        state="attached"
    )  # the components, which know the key, are there
    page.locator(".st-key-conversation_new button").click()
    expect(page.locator(".st-key-examples")).to_be_visible()
    send_with_two_keys(chat)
    page.locator(".st-key-own_menu_open button").first.click()
    menu.get_by_role("button", name="Keyboard").click()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("New line")
    page.keyboard.press("Escape")


def send_with_two_keys(chat: Chat) -> None:
    """Enter begins a line; Ctrl and Enter send. The page's own script sees to it until the component does."""
    chat.box.fill("one line")
    chat.box.press("Enter")
    chat.box.press_sequentially("another")
    expect(chat.box).to_have_value("one line\nanother")
    chat.box.press("Control+Enter")
    expect(chat.page.locator(".tk-user")).to_contain_text("another")


def test_answers_and_dialogs_turn_dark_with_the_system_at_once(chat: Chat) -> None:
    page = chat.page
    answered(chat, "A question at dusk")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator(".tk-list").locator("xpath=ancestor::*[@data-theme]")).to_have_attribute(
            "data-theme", scheme
        )
        expect(page.locator("html")).to_have_css("color-scheme", scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(browser: Browser, app: App, scheme: Any) -> None:
    context = browser.new_context(
        locale="zh-CN", viewport={"width": 1440, "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    chat = Chat(page, app.url).open()
    answered(chat, "A question for the eyes")
    measured = page.evaluate(CONTRAST, ".tk-figures, .tk-note, .tk-under, .tk-context span")
    page.locator("[class*=recent_row_current] [data-testid=stMenuButton] button").first.click()
    page.get_by_text(re.compile("Rename|重命名")).first.click()
    expect(page.locator("[role=dialog] button[data-testid*=primary]")).to_be_visible()
    buttons = page.evaluate(CONTRAST, "[data-testid*=stBaseButton-primary]")
    assert buttons
    measured += buttons
    assert len(measured) > 3
    assert [(text[:40], round(ratio, 2)) for text, ratio in measured if ratio < 4.5] == []
    context.close()
