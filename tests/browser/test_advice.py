"""A person who knows no parameters: the task first, a vague draft, its rewrite, and the handbook."""

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Chat

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STRONGER = (
    "write a story\n\nPlease keep to this:\n- Reader: adults\n- Length: about 500 words\n"
    "- Mood: warm and restrained, with an open ending"
)
EXAMPLE = "Explain vanishing gradients with one everyday analogy, and why an LSTM helps"


def test_from_a_task_over_the_coach_to_an_example_of_the_handbook(chat: Chat) -> None:
    page = chat.page
    page.locator(".st-key-task_picker button").first.click()
    page.locator(".st-key-task_choice").get_by_text("Story or analogy").click()
    expect(page.locator(".st-key-keys_card output").first).to_have_text("0.90")
    page.keyboard.press("Escape")

    chat.box.click()
    chat.box.press_sequentially("write a story")
    line = page.locator(".tk-coach")
    expect(line).to_contain_text("At temperature 0.9 a vague request drifts")
    page.locator(".st-key-coach_see button").first.click()
    page.locator(".st-key-coach_accept button").click()
    expect(chat.box).to_have_value(STRONGER)
    expect(line).to_have_count(0)
    expect(page.locator(".tk-need")).to_contain_text("500 words")

    page.get_by_role("link", name="Handbook").click()
    expect(page.locator(".tk-chapter")).to_have_text("What temperature is")
    expect(page.locator(".st-key-card_thermometer")).to_contain_text("Qwen2.5")
    expect(page.locator(".tk-claim").first).to_contain_text("C1")
    page.locator('[class*="st-key-try_"] button').first.click()
    expect(page.locator(".st-key-compare_question textarea")).to_have_value(EXAMPLE)
