"""A person writes a long text: outline, edits it, starts, reloads, stops, goes on, reads, downloads."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import App

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_long_text_from_topic_to_document(page: Page, app: App, tmp_path: Path) -> None:
    page.goto(f"{app.url}/writing")
    page.locator(".st-key-writing_topic input").fill("How to make tea")
    page.locator(".st-key-writing_topic input").press("Tab")
    length = page.locator(".st-key-writing_length_words input")
    length.fill("150")
    length.press("Tab")
    page.locator(".st-key-writing_create button").click()

    # the model is too small for a good outline: whichever came, the usual one or its own, can be edited
    start = page.locator(".st-key-writing_start button")
    expect(start).to_be_visible(timeout=180_000)
    title = page.locator("[class*='st-key-wr_title_'] input").first
    title.fill("Water first")
    title.press("Enter")
    expect(page.locator("[class*='st-key-wr_title_'] input").first).to_have_value("Water first")

    start.click()
    expect(page.locator(".st-key-writing_stop button").first).to_be_visible()
    page.locator("[class*='st-key-writing_tab_'] button").first.click()
    expect(page.locator(".st-key-writing_body")).to_contain_text(re.compile(r"\w{3,} \w+"), timeout=120_000)
    page.reload()
    done = page.locator(".wr-progress", has_text="Done")
    expect(done).to_be_visible(timeout=240_000)
    expect(page.locator(".st-key-writing_sections")).to_be_visible()

    first = page.locator(".st-key-writing_sections button").first
    first.click()
    expect(page.locator(".wr-head h2")).to_contain_text("1")
    page.locator(".st-key-writing_again button").click()
    page.locator(".st-key-writing_stop button").first.click()
    expect(page.locator(".st-key-writing_stop")).to_have_count(0, timeout=60_000)

    page.locator("[class*='st-key-writing_tab_'] button").nth(3).click()
    with page.expect_download() as download:
        page.locator(".st-key-writing_export_docx button").click()
    target = tmp_path / "text.docx"
    download.value.save_as(target)
    assert target.read_bytes()[:2] == b"PK"
    page.locator("[class*='st-key-writing_tab_'] button").nth(2).click()
    expect(page.get_by_text("Length score", exact=True)).to_be_visible()
