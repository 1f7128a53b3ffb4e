"""Journeys of a person through the running app, with a real model and a real browser."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.conftest import LONG_CONVERSATION, PICTURE, App, Chat, place_model, running_app
from tests.questions import LONG

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHORT = "Say hello in one short sentence."


def visible_text(chat: Chat) -> str:
    return str(chat.growing.first.inner_text())


def test_ask_and_watch_the_answer_grow_to_its_end(chat: Chat) -> None:
    chat.ask(SHORT)
    expect(chat.page.locator(".tk-user")).to_contain_text("Say hello")
    expect(chat.page.locator(".tk-assistant .tk-figures")).to_contain_text("tok/s", timeout=90_000)
    assert chat.answers.first.inner_text().strip()
    assert "c=" in chat.conversation()


def test_a_slider_and_another_page_do_not_disturb_a_streaming_answer(chat: Chat) -> None:
    chat.ask(LONG)
    expect(chat.growing).to_have_text(re.compile(r"\S{3}"), timeout=60_000)
    before = visible_text(chat)
    chat.page.locator(".st-key-key_temperature input[type=range]").press("ArrowLeft")
    expect(chat.page.locator(".st-key-keys_card output").first).to_have_text("0.65")
    chat.page.locator(".st-key-nav_settings a").click()
    chat.page.get_by_role("link", name="Models", exact=True).click()
    expect(chat.page.locator(".tk-h1")).to_have_text("Models")
    chat.page.get_by_role("link", name="Chat", exact=True).click()
    expect(chat.answers.first).to_contain_text(before[:20])
    expect(chat.growing).to_be_visible()
    chat.page.locator(".tk-stop").click()
    expect(chat.page.locator(".tk-banner")).to_be_visible()


def test_a_reload_and_a_second_tab_show_the_same_live_text(chat: Chat, context: BrowserContext) -> None:
    chat.ask(LONG)
    expect(chat.growing).to_have_text(re.compile(r"\S{3}"), timeout=60_000)
    start = visible_text(chat)[:20]
    chat.page.reload()
    expect(chat.answers.first).to_contain_text(start)
    second = context.new_page()
    second.goto(chat.page.url)
    expect(second.locator(".tk-assistant").first).to_contain_text(start)
    second.locator(".tk-stop").click()
    expect(second.locator(".tk-banner")).to_be_visible()
    expect(chat.page.locator(".tk-banner")).to_be_visible()


def test_a_second_tab_on_an_empty_conversation_hears_of_its_first_message(
    chat: Chat, context: BrowserContext
) -> None:
    chat.page.wait_for_url("**/?c=*")
    second = context.new_page()
    second.goto(chat.page.url)
    expect(second.locator(".st-key-examples")).to_be_visible()
    expect(second.locator(".tk-root:not(.tk-palette-root)")).to_be_attached()
    chat.ask("Say hello.")
    expect(second.locator(".tk-user")).to_contain_text("Say hello.")
    expect(second.locator(".tk-assistant .tk-foot .tk-figures")).to_have_count(1, timeout=90_000)


def test_stop_keeps_the_text_and_continue_goes_on_from_it(chat: Chat) -> None:
    chat.ask(LONG)
    expect(chat.growing).to_have_text(re.compile(r"(\S+\s+){5}"), timeout=60_000)
    chat.page.locator(".tk-stop").click()
    expect(chat.page.locator(".tk-banner")).to_be_visible()
    text = chat.page.locator(".tk-assistant .tk-md").inner_text()
    chat.page.locator(".tk-banner").get_by_role("button", name="Continue").click()
    expect(chat.growing).to_be_visible()
    expect(chat.growing).to_contain_text(text[:20])
    chat.wait_for_more_than(len(text))
    chat.page.locator(".tk-stop").click()
    expect(chat.page.locator(".tk-banner")).to_be_visible()
    longer = chat.page.locator(".tk-assistant .tk-md").inner_text()
    assert len(longer) > len(text)
    assert longer.startswith(text[: len(text) // 2])


def test_regenerate_keeps_both_versions(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    chat.answers.first.hover()
    chat.answers.first.get_by_role("button", name="Regenerate").click()
    versions = chat.page.locator(".tk-assistant .tk-versions")
    expect(versions).to_contain_text("2/2", timeout=60_000)
    expect(chat.page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=60_000)
    versions.get_by_role("button").first.click()
    expect(chat.page.locator(".tk-assistant .tk-versions")).to_contain_text("1/2")


def test_editing_a_question_branches_and_both_branches_stay(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    question = chat.page.locator(".tk-user").first
    question.hover()
    question.get_by_role("button", name="Edit").click()
    chat.page.locator(".tk-editor").fill("Say goodbye in one short sentence.")
    chat.page.get_by_role("button", name="Send edit").click()
    expect(chat.page.locator(".tk-user").first).to_contain_text("goodbye")
    expect(chat.page.locator(".tk-user .tk-versions")).to_contain_text("2/2")
    expect(chat.page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=60_000)
    chat.page.locator(".tk-user .tk-versions").get_by_role("button").first.click()
    expect(chat.page.locator(".tk-user").first).to_contain_text("Say hello")


def test_a_deleted_question_comes_back_with_undo(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    question = chat.page.locator(".tk-user").first
    question.hover()
    question.get_by_role("button", name="Delete").click()
    expect(chat.page.locator(".tk-user")).to_have_count(0)
    chat.page.locator(".st-key-undo button").click()
    expect(chat.page.locator(".tk-user").first).to_contain_text("Say hello")


def test_a_second_message_waits_visibly_behind_the_first(chat: Chat) -> None:
    chat.ask(LONG)
    expect(chat.growing).to_have_text(re.compile(r"\S{3}"), timeout=60_000)
    chat.ask(SHORT)
    expect(chat.page.locator(".tk-user")).to_have_count(2)
    expect(chat.page.locator(".tk-list")).to_contain_text("Queued")
    chat.page.locator(".tk-stop").first.click()
    expect(chat.page.locator(".tk-assistant .tk-foot .tk-figures")).to_have_count(2, timeout=90_000)


def test_force_clear_gives_memory_back_and_the_next_message_starts_the_engine_again(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    chat.page.locator(".st-key-force_clear button").first.click()
    freed = chat.page.locator(".tk-freed")
    expect(freed).to_have_text(re.compile(r"\d+ MiB → 0 MiB.*freed"))
    expect(chat.page.locator(".tk-divider")).to_be_visible()
    chat.ask_and_wait(SHORT)
    expect(chat.page.locator(".tk-assistant")).to_have_count(2)


def test_force_clear_by_keyboard(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    chat.page.locator(".tk-title").click()
    chat.page.keyboard.press("Control+Alt+x")
    expect(chat.page.locator(".tk-freed")).to_have_text(re.compile(r"\d+ MiB → 0 MiB"))


def test_the_language_switches_in_place_and_the_answer_stays(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    answer = chat.page.locator(".tk-assistant .tk-md").inner_text()
    chat.page.locator(".st-key-language_switch").get_by_text("中").click()
    expect(chat.page.locator(".st-key-force_clear")).to_contain_text("强制清理显存")
    expect(chat.page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    expect(chat.page.locator(".tk-assistant .tk-md")).to_have_text(answer, use_inner_text=True)
    chat.page.locator(".st-key-language_switch").get_by_text("EN").click()
    expect(chat.page.locator(".st-key-force_clear")).to_contain_text("Force clear")


def test_settings_survive_a_reload(chat: Chat) -> None:
    chat.page.locator(".st-key-key_combination").get_by_text("A Precise").click()
    outputs = chat.page.locator(".st-key-keys_card output")
    expect(outputs.first).to_have_text("0.30")
    expect(outputs.last).to_contain_text("1024")
    chat.page.reload()
    expect(outputs.first).to_have_text("0.30")
    expect(outputs.last).to_contain_text("1024")


def test_provenance_shows_what_was_used_and_runs_it_again(chat: Chat) -> None:
    chat.ask_and_wait(SHORT)
    chat.answers.first.hover()
    chat.answers.first.get_by_role("button", name=re.compile("made|came about|details", re.I)).click()
    dialog = chat.page.get_by_role("dialog")
    expect(dialog).to_contain_text("smollm2-135m")
    expect(dialog).to_contain_text("Seed drawn")
    dialog.locator(".st-key-details_replay button").click()
    expect(chat.page.locator(".tk-assistant .tk-versions")).to_contain_text("2/2", timeout=60_000)


def test_a_picture_in_an_answer_is_never_fetched(page: Page, app: App) -> None:
    page.goto(f"{app.url}/?c={PICTURE}")
    expect(page.locator(".tk-assistant")).to_contain_text("After the picture")
    assert page.locator(".tk-assistant img").count() == 0


@pytest.mark.parametrize("query", ["", "&plain=1"])
def test_of_a_long_conversation_the_last_messages_are_drawn_and_earlier_ones_on_demand(
    page: Page, app: App, query: str
) -> None:
    page.goto(f"{app.url}/?c={LONG_CONVERSATION}{query}")
    expect(page.get_by_text("Answer number 199")).to_be_visible()
    expect(page.get_by_text("Answer number 161", exact=True)).to_have_count(0)
    page.get_by_text(re.compile("earlier messages")).click()
    expect(page.get_by_text("Answer number 161", exact=True)).to_be_attached()


def _colour(page: Page, selector: str, name: str) -> tuple[int, ...]:
    value = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")
    return tuple(int(float(part)) for part in re.findall(r"[\d.]+", value)[:3])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_with_readable_contrast(
    browser: Browser, app: App, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, locale="en-US")
    page = context.new_page()
    page.goto(app.url)
    expect(page.locator(".tk-brand")).to_be_visible()
    ground, ink = _colour(page, ".stApp", "backgroundColor"), _colour(page, ".tk-brand b", "color")
    assert contrast(ground, ink) >= 7
    assert contrast(_colour(page, ".stSidebar", "backgroundColor"), _colour(page, ".tk-note", "color")) >= 4.5
    assert (sum(ground) < 200) is (scheme == "dark")
    context.close()


def contrast(entry: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the WCAG 2 contrast ratio of two sRGB colours."""

    def luminance(colour: tuple[int, ...]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(entry), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_phone_shows_the_chat_first_and_nothing_is_cut_off(browser: Browser, app: App) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, locale="zh-CN"
    )
    page = context.new_page()
    page.goto(app.url)
    expect(page.locator(".st-key-chat_send textarea")).to_be_visible()
    assert page.locator('[data-testid="stSidebar"]').get_attribute("data-collapsed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(page.locator(".st-key-key_temperature")).to_be_visible()
    context.close()


def test_first_run_takes_a_message_before_the_model_and_sends_it_when_the_model_is_here(
    page: Page, tmp_path: Path, smollm2: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    with running_app(
        tmp_path,
        HF_ENDPOINT=nowhere,
        MODELSCOPE_ENDPOINT=nowhere,
        PIP_INDEX_URL=nowhere,
        PIP_CONFIG_FILE="/dev/null",
    ) as app:
        page.goto(app.url)
        expect(page.locator(".st-key-bar_first")).to_be_visible()
        expect(page.locator(".st-key-bar_recommended")).to_contain_text("Recommended for this machine")
        box = page.locator(".st-key-chat_send textarea")
        box.fill(SHORT)
        box.press("Enter")
        expect(page.locator(".st-key-turn_user_waiting")).to_contain_text("Say hello")
        place_model(smollm2, app.home)
        expect(page.locator(".tk-user")).to_contain_text("Say hello")
        expect(page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=90_000)
