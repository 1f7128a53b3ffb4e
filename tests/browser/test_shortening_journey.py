"""A person shortens what stands above: chooses turns, reads and edits the summary, takes it, goes back."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from twokeys.core.context import TOLD_SUMMARY

from .conftest import Chat, rest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LONG_MS = 120_000
SUMMARY = "The person is called Ada and likes tea."


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where a person asked for pictures."""
    if folder := os.environ.get("TWOKEYS_TEST_SHOTS"):
        page.screenshot(path=str(Path(folder) / f"shorten-{name}.png"))


def test_the_model_summarises_two_turns_and_the_person_decides(chat: Chat) -> None:
    page = chat.page
    chat.ask_and_wait("My name is Ada and I like tea. Say hello in one short sentence.")
    chat.ask_and_wait("Name one kind of tea.")
    expect(page.locator(".tk-palette-field")).to_have_count(1)
    page.keyboard.press("Control+k")
    page.keyboard.type("shorten what")
    expect(page.locator(".tk-palette [aria-selected=true]")).to_contain_text("Shorten what stands above")
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 turn")
    look(page, "choose")
    page.locator(".st-key-shorten_start button").click()
    words = dialog.get_by_label("Summary (you can edit it)")
    expect(words).to_have_value(re.compile(r"\w+ \w+"), timeout=LONG_MS)
    expect(dialog).to_contain_text("History it replaces")
    look(page, "written")
    words.fill(SUMMARY)
    words.press("Control+Enter")
    expect(dialog).to_contain_text("Saved in every prompt")
    page.locator(".st-key-shorten_take button").click()
    expect(dialog).to_have_count(0)

    divider = page.locator(".tk-divider")
    expect(divider).to_contain_text("The model reads a summary of what is above")
    divider.get_by_text("Show summary").click()
    expect(divider.locator("p")).to_have_text(SUMMARY)
    look(page, "taken")
    chat.ask_and_wait("What do I like?")
    page.locator(".tk-assistant").last.locator("[data-do=details]").click()
    page.locator(".st-key-details_sent label").click()
    expect(dialog).to_contain_text(TOLD_SUMMARY["en"])
    expect(dialog).to_contain_text(SUMMARY)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    page.reload()
    divider.get_by_text("Let it read everything").click()
    expect(divider).to_contain_text("the summary is kept")
    rest(page)
    divider.get_by_text("Use the summary").click()
    expect(divider).to_contain_text("The model reads a summary of what is above")
