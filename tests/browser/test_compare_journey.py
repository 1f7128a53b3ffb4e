"""A person compares three temperatures with a real model, votes blind, keeps one, looks closely."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import App, Chat
from tests.questions import LONG

from twokeys.i18n import translate

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_three_columns_stream_survive_a_reload_are_voted_on_and_one_is_kept(page: Page, app: App) -> None:
    page.goto(f"{app.url}/compare")
    question = page.locator(".st-key-compare_question textarea")
    question.fill(LONG)
    question.press("Control+Enter")
    page.locator(".st-key-compare_blind label").click()
    page.locator(".st-key-compare_start button").click()

    columns = page.locator(".tk-column")
    growing = page.locator(".tk-column .tk-growing .tk-md")
    expect(columns).to_have_count(3)
    for number in range(3):
        expect(growing.nth(number)).to_have_text(re.compile(r"\S{3}"), timeout=60_000)
    begun = [growing.nth(number).inner_text()[:15] for number in range(3)]
    assert re.search(r"cmp=\w+", page.url)

    page.reload()
    for number in range(3):
        expect(columns.nth(number)).to_contain_text(begun[number].splitlines()[0])
    expect(columns.first.locator("h3")).to_have_text("A")
    page.locator(".st-key-compare_stop_all button").click()
    expect(page.locator(".st-key-card_vote")).to_be_visible()
    expect(page.locator(".tk-side")).not_to_contain_text("temperature")

    page.locator(".st-key-card_vote").get_by_role("button", name="B", exact=True).click()
    page.locator(".st-key-vote_send button").click()
    expect(page.locator(".st-key-card_vote")).to_contain_text("Your vote: B")
    page.locator(".st-key-vote_reveal button").click()
    expect(columns.nth(1).locator("h3")).to_have_text(re.compile(r"B · temperature (0\.3|0\.7|1)"))
    expect(page.locator(".tk-diff")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 720})
    assert page.locator(".tk-columns").evaluate("(grid) => grid.scrollWidth <= grid.clientWidth"), (
        "all three fit"
    )
    assert columns.first.locator(".tk-md").evaluate("(text) => text.scrollHeight <= text.clientHeight + 1")

    retained = columns.nth(1).locator(".tk-md").inner_text()[:15]
    columns.nth(1).get_by_role("button", name="Keep as the answer").click()
    expect(columns.nth(1).locator(".tk-kept")).to_be_visible()
    page.get_by_role("link", name=re.compile("Open the conversation")).click()
    expect(page.locator(".tk-user")).to_contain_text(LONG)
    expect(page.locator(".tk-assistant")).to_contain_text(retained.splitlines()[0])


def test_a_token_is_looked_at_closely_and_the_answer_grows_on_from_another(chat: Chat) -> None:
    page = chat.page
    chat.ask_and_wait("Name three colours in one short sentence.")
    chat.answers.first.hover()
    chat.answers.first.get_by_role("button", name="How this answer was made").click()
    page.get_by_role("dialog").get_by_text("Token probabilities and thermometer").click()
    tokens = page.locator(".tk-heat span[data-token]")
    tokens.nth(2).click()
    expect(page.locator(".tk-thermo-summary")).to_contain_text("5 candidates")
    page.locator("[data-widen]").click()
    expect(page.locator(".tk-thermo-summary")).to_contain_text("100 candidates", timeout=60_000)
    page.locator(".tk-choice-list button").first.click()
    expect(page.locator(".tk-assistant .tk-versions")).to_contain_text("2/2", timeout=60_000)
    if page.locator(".tk-growing").count():
        page.keyboard.press("Escape")
    expect(page.locator(".tk-assistant .tk-foot .tk-figures")).to_be_visible(timeout=90_000)


def test_compare_on_an_answer_brings_its_question(chat: Chat) -> None:
    chat.ask_and_wait("Say hello in one short sentence.")
    chat.answers.first.hover()
    chat.answers.first.get_by_role("button", name="Compare parameters").click()
    expect(chat.page.locator(".tk-asked")).to_contain_text("Say hello in one short sentence.")
    expect(chat.page.locator(".st-key-compare_start")).to_be_visible()


def test_compare_on_a_question_brings_that_question(chat: Chat) -> None:
    chat.ask_and_wait("Say hello in one short sentence.")
    expect(chat.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    question = chat.page.locator(".tk-user")
    question.hover()
    question.get_by_role("button", name="Compare parameters").click()
    expect(chat.page.locator(".tk-asked")).to_contain_text("Say hello in one short sentence.")
    expect(chat.page.locator(".st-key-compare_start")).to_be_visible()


def test_columns_on_a_dark_phone_are_swiped_and_named_in_chinese(
    page: Page, app: App, browser: Browser
) -> None:
    page.goto(f"{app.url}/compare")
    page.locator(".st-key-compare_question textarea").fill("Name a colour in one word.")
    page.locator(".st-key-compare_question textarea").press("Control+Enter")
    page.locator(".st-key-compare_start button").click()
    expect(page.locator(".tk-diff")).to_be_visible(timeout=120_000)

    phone = browser.new_page(
        locale="zh-CN", color_scheme="dark", viewport={"width": 390, "height": 844}, has_touch=True
    )
    phone.goto(page.url)
    columns = phone.locator(".tk-column")
    expect(columns).to_have_count(3)
    expect(columns.first.locator("h3")).to_have_text(translate("chat.tag.temperature", "zh", value="0.3"))
    box = columns.first.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    expect(columns.nth(2)).not_to_be_in_viewport()
    phone.locator(".tk-column-tabs button").nth(2).click()
    expect(columns.nth(2)).to_be_in_viewport(ratio=0.5)
    expect(columns.first).not_to_be_in_viewport(ratio=0.5)
    assert phone.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    expect(phone.locator(".tk-root").first).to_have_attribute("data-theme", "dark")
    light = "(colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0)"
    ink, ground = (
        columns.first.evaluate(f"(element) => ({light})(getComputedStyle(element).{name})")
        for name in ("color", "backgroundColor")
    )
    assert ink > ground
    phone.close()
