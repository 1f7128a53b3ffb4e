"""A person writes a long text: outline, writing, pause, reload, a section deepened, quality, the document."""

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from docx import Document
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as TooLate

from .conftest import App, rest

pytestmark = pytest.mark.browser
LONG_MS = 240_000
TITLES = "[class*='st-key-wr_title_'] input"


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where a person asked for pictures."""
    if folder := os.environ.get("TWOKEYS_TEST_SHOTS"):
        page.screenshot(path=f"{folder}/writing-{name}.png", full_page=True)


def press(page: Page, key: str) -> None:
    """Press a button; while a page is drawn anew the one before may still be there, hidden."""
    rest(page)
    page.locator(f".st-key-{key} button").filter(visible=True).first.click()


def tab(page: Page, number: int) -> None:
    """Open a tab of the project: text, outline, quality, document."""
    page.locator("[class*='st-key-writing_tab_'] button").nth(number).click()


def rename(page: Page, number: int, title: str) -> None:
    field = page.locator(TITLES).nth(number)
    field.fill(title)
    field.press("Enter")
    expect(page.locator(TITLES).nth(number)).to_have_value(title)


def act_on(page: Page, number: int, action: str) -> None:
    """Do something with a heading of the outline from its menu."""
    page.locator("[class*='st-key-wr_more_'] button").nth(number).click()
    page.get_by_role("menuitem", name=action, exact=True).or_(page.get_by_role("option", name=action)).click()


def new_project(page: Page, url: str, topic: str, words: int) -> None:
    """Ask for a text; while the outline grows, stop it and take the usual one, which is quicker."""
    page.goto(f"{url}/writing")
    page.locator(".st-key-writing_topic input").fill(topic)
    page.locator(".st-key-writing_topic input").press("Tab")
    length = page.locator(".st-key-writing_length_words input")
    length.fill(str(words))
    length.press("Tab")
    press(page, "writing_create")
    expect(page.get_by_text(re.compile(r"[1-9]\d* tokens so far"))).to_be_visible(timeout=LONG_MS)
    expect(page.locator(".wr-growing [role=listitem]").first).to_have_text(
        re.compile(r"\w{3}"), timeout=LONG_MS
    )
    look(page, "growing")
    press(page, "writing_stop")
    press(page, "writing_outline_rules")
    expect(page.locator(".st-key-writing_start button")).to_be_visible()


def first_section(page: Page) -> Locator:
    return page.locator(".st-key-writing_sections [class*='st-key-wr_open_'] button").first


def body(page: Page) -> Locator:
    return page.locator(".st-key-writing_body")


@pytest.mark.slow
def test_a_long_text_from_topic_to_document(page: Page, app: App, tmp_path: Path) -> None:
    new_project(page, app.url, "How to make tea", 400)

    # the outline is in the person's hand: names, order, what is in it
    rename(page, 0, "Water first")
    act_on(page, 0, "Move down")
    expect(page.locator(TITLES).first).not_to_have_value("Water first")
    act_on(page, 0, "Delete")
    expect(page.locator(TITLES).first).to_have_value("Water first")
    press(page, "writing_add")
    expect(page.locator(TITLES).last).to_have_value("New section")
    rename(page, page.locator(TITLES).count() - 1, "Cups")
    look(page, "outline")

    # pause: the section is written to its end, and after a reload the text goes on where it was
    press(page, "writing_start")
    press(page, "writing_pause")
    tab(page, 0)
    expect(body(page)).to_contain_text(re.compile(r"\w{3,} \w+"), timeout=LONG_MS)
    look(page, "running")
    expect(page.locator(".wr-progress", has_text="Paused")).to_be_visible(timeout=LONG_MS)
    page.reload()
    first_section(page).click()
    expect(page.locator(".wr-facts")).to_contain_text("Written")
    rest(page)  # until the page is drawn, what stood there of another section is still in it
    expect(body(page)).to_have_text(re.compile(r"\w{3,} \w+"))
    finished = body(page).inner_text()
    press(page, "writing_start")
    expect(page.locator(".wr-progress", has_text="Done")).to_be_visible(timeout=LONG_MS)
    expect(body(page)).to_have_text(finished, use_inner_text=True)

    # deepen: the section is rewritten as asked, compared with what it was, and set back
    versions = page.locator("[class*='st-key-wr_versions_'] summary").first
    before = int("".join(filter(str.isdigit, versions.inner_text()))) if versions.count() else 1
    page.locator("[class*='st-key-wr_deepen_'] summary").click()
    instruction = page.locator("[class*='st-key-wr_instruction_'] input")
    instruction.fill("As a letter to a friend")
    instruction.press("Enter")
    press(page, "writing_rewrite")
    expect(versions).to_contain_text(f"({before + 1})", timeout=LONG_MS)
    expect(page.locator(".wr-progress", has_text="Done")).to_be_visible(timeout=LONG_MS)
    versions.click()
    # what was rewritten may have been gone on with, and be a version of its own
    former = page.get_by_role("option", name=re.compile(rf"^{before}\."))
    for _ in range(3):
        rest(page)  # a list that opens while the page is drawn closes again
        page.locator("[class*='st-key-wr_version_']").get_by_role("combobox").click()
        with suppress(TooLate):
            former.click(timeout=5000)
            break
    expect(page.locator(".wr-diff")).to_be_visible()
    look(page, "versions")
    press(page, "writing_version_use")
    expect(body(page)).to_have_text(finished, use_inner_text=True)

    # a rewriting that is stopped leaves the text, and its draft can be thrown away
    press(page, "writing_again")
    press(page, "writing_section_stop")
    expect(page.locator(".st-key-writing_go_on button")).to_be_visible()
    expect(body(page)).to_have_text(finished, use_inner_text=True)
    press(page, "writing_skip")
    expect(page.locator(".st-key-writing_go_on")).to_have_count(0)
    expect(body(page)).to_have_text(finished, use_inner_text=True)

    # quality: the figures of the whole and of every section, what is said twice
    tab(page, 2)
    expect(page.locator(".wr-lights .wr-light").first).to_be_visible()
    page.locator(".st-key-writing_by_section summary").click()
    expect(page.get_by_text("Length score", exact=True)).to_be_visible()
    expect(page.locator(".wr-table")).to_contain_text("Cups")
    look(page, "quality")

    tab(page, 3)
    with page.expect_download() as download:
        press(page, "writing_export_docx")
    target = tmp_path / "text.docx"
    download.value.save_as(target)
    headings = [
        p.text for p in Document(str(target)).paragraphs if p.style and "Heading" in str(p.style.name)
    ]
    assert any("Water first" in heading for heading in headings) and any(
        "Cups" in heading for heading in headings
    )
