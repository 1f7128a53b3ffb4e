"""A person who knows no parameters: the task first, a vague draft, its rewrite, and the handbook."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import Chat, place_model, running_app

from twokeys.i18n import translate

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STRONGER = (
    "write a story\n\nPlease keep to this:\n- Reader: general readers\n- Length: about 500 words\n"
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

    page.locator(".st-key-nav_lab a").click()
    page.get_by_role("link", name="Handbook").click()
    expect(page.locator(".tk-chapter")).to_have_text("What temperature is")
    expect(page.locator(".st-key-card_thermometer")).to_contain_text("Qwen2.5")
    expect(page.locator(".tk-claim").first).to_contain_text("C1")
    page.locator('[class*="st-key-try_"] button').first.click()
    expect(page.locator(".st-key-compare_question textarea")).to_have_value(EXAMPLE)


@pytest.mark.parametrize(("scheme", "locale"), [("dark", "zh-CN"), ("light", "en-US")])
def test_first_screen_picker_coach_and_handbook_fit_a_phone(
    browser: Browser, smollm2: Path, tmp_path: Path, scheme: Literal["dark", "light"], locale: str
) -> None:
    language = locale[:2]
    place_model(smollm2, tmp_path)
    with running_app(tmp_path) as app:
        context = browser.new_context(
            viewport={"width": 390, "height": 844},
            is_mobile=True,
            has_touch=True,
            locale=locale,
            color_scheme=scheme,
        )
        page = context.new_page()
        page.goto(app.url)
        expect(page.get_by_text(translate("chat.empty.title", language))).to_be_in_viewport(ratio=1)
        expect(page.locator("[class*=st-key-example_] button").last).to_be_visible()
        assert_fits(page)

        page.locator(".st-key-task_picker button").first.click()
        choice = page.locator(".st-key-task_choice")
        choice.get_by_text(translate("advice.task.story.title", language)).click()
        page.locator(".st-key-task_reasons summary").click()
        expect(page.locator(".tk-reasons")).to_be_visible()
        assert readable(page, ".tk-reasons dd")
        assert readable(page, '[data-testid="stPopoverBody"] h3')
        assert_fits(page)
        page.keyboard.press("Escape")

        box = page.locator(".st-key-chat_send textarea")
        box.click()
        box.press_sequentially("写个故事" if language == "zh" else "write a story")
        expect(page.locator(".tk-coach")).to_be_visible()
        assert readable(page, ".tk-coach")
        assert_fits(page)

        page.goto(f"{app.url}/handbook?chapter=6-memory")
        expect(page.locator(".tk-claim").first).to_contain_text("C3")
        assert readable(page, ".tk-claim p")
        assert_fits(page)
        context.close()


def assert_fits(page: Page) -> None:
    """Nothing may have to be moved sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def readable(page: Page, selector: str) -> bool:
    """Whether a text stands out from the ground under it by at least 4.5 : 1 (WCAG AA)."""
    return bool(page.locator(selector).first.evaluate(CONTRAST) >= 4.5)


CONTRAST = """
element => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const grounds = []
  for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor)
  const paint = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1) }
  const light = () => {
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255)
      .map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  paint("white")
  grounds.forEach(paint)
  const ground = light()
  paint(getComputedStyle(element).color)
  const ink = light()
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)
}
"""
