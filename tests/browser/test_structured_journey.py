"""A person asks for a table: in the dialog, typed, for a comparison, with a preset; cut, and taken along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import App, Chat, running_app

pytestmark = pytest.mark.browser
SCRIPTED = str(Path(__file__).parent / "serve_scripted.py")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    with running_app(home, command=(SCRIPTED, str(home))) as running:
        yield running


def choose_columns(page: Page, opener: str = "form_open") -> None:
    """Ask for a table of a text and a number, as a person does in the dialog that a button opens."""
    page.locator(f".st-key-{opener} button:visible").click()
    names = page.locator('[class*="st-key-form_name_"] input')
    names.nth(0).fill("part")
    names.nth(0).press("Tab")
    names.nth(1).fill("count")
    names.nth(1).press("Tab")
    kind = page.locator('[class*="st-key-form_type_"]').nth(1).locator("input")
    kind.click()
    page.get_by_role("option", name="Number").click()
    expect(kind).to_have_value("Number")
    page.locator(".st-key-form_use button").click()
    expect(page.locator(f".st-key-{opener} button:visible")).to_contain_text("Table: part, count")


def test_a_table_is_asked_for_cut_continued_downloaded_and_gathered(chat: Chat) -> None:
    page = chat.page
    choose_columns(page)
    chat.ask("slow table")
    rows = page.locator(".tk-form").first.locator("tbody tr")
    expect(rows.nth(2)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    banner = page.locator(".tk-banner")
    expect(banner).to_contain_text("Cut off after")
    expect(banner).to_contain_text("you stopped it")
    expect(page.locator(".tk-verdict")).to_have_count(0)
    before = rows.first.inner_text()
    banner.locator("[data-do=continue]").click()
    expect(page.locator(".tk-verdict")).to_have_text("Valid")
    expect(page.locator(".tk-form-head")).to_contain_text("40 rows")
    assert rows.first.inner_text() == before
    page.reload()
    expect(page.locator(".tk-form-head")).to_contain_text("40 rows")
    with page.expect_download() as download:
        page.locator(".tk-form-files a", has_text="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == ["part,count", "bolt 0,0"] and len(lines) == 41
    chat.ask("List them again")
    expect(page.locator(".tk-verdict")).to_have_count(2)
    page.locator("[data-do=gather]").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("80 rows from 2 answers")
    expect(dialog.locator("tbody tr").last).to_contain_text("bolt 39")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    page.locator(".st-key-form_drop button:visible").click()
    expect(page.locator(".st-key-form_row")).to_contain_text("Answer as…")


def test_a_form_is_typed_with_the_help_of_the_menu_and_taken_off(chat: Chat) -> None:
    page = chat.page
    chat.box.press_sequentially("/tab")
    menu = page.locator(".tk-slash [aria-selected=true]")
    expect(menu).to_contain_text("/table part, count:number, due?:date")
    expect(menu).to_contain_text("Answers as a table")
    chat.box.press("Enter")
    expect(chat.box).to_have_value("/table ")
    chat.box.press_sequentially("part, count:number")
    expect(page.locator(".tk-slash")).not_to_be_visible()
    chat.box.press("Enter")
    expect(page.locator(".st-key-form_row")).to_contain_text("Table: part, count")
    expect(chat.box).to_have_value("")
    expect(page.locator(".tk-user")).to_have_count(0)  # a form alone is no message
    chat.ask_and_wait("Which parts are there?")
    expect(page.locator(".tk-verdict")).to_have_text("Valid")
    chat.ask("/table off")
    expect(page.locator(".st-key-form_row")).to_contain_text("Answer as…")
    chat.box.fill("/table part, count:number")
    chat.box.press("Shift+Enter")
    chat.box.press_sequentially("And the others?")
    chat.box.press("Enter")
    expect(page.locator(".tk-verdict")).to_have_count(2)
    expect(page.locator(".tk-user").last).to_contain_text("And the others?")
    expect(page.locator(".tk-user").last).not_to_contain_text("/table")
    expect(page.locator(".st-key-form_row")).to_contain_text("Answer as…")
    chat.ask("/table part, part")
    expect(page.get_by_role("alert")).to_contain_text("two columns are called")
    expect(chat.box).to_have_value("/table part, part")
    page.locator(".st-key-language_switch").get_by_text("中", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("alert")).to_have_count(1)  # a page that is drawn anew takes no error away unread
    page.locator(".st-key-errors_dismiss button:visible").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.locator(".st-key-language_switch").get_by_text("EN", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_form_is_kept_in_a_preset_and_asked_of_a_comparison_s_columns(chat: Chat) -> None:
    page = chat.page
    choose_columns(page)
    page.locator(".st-key-tool_presets button:visible").click()
    page.locator(".st-key-preset_name input").fill("parts list")
    page.locator(".st-key-preset_name input").press("Enter")
    used = page.get_by_role("button", name="parts list", exact=True)
    expect(used).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".st-key-form_drop button:visible").click()
    expect(page.locator(".st-key-form_row")).to_contain_text("Answer as…")
    page.locator(".st-key-tool_presets button:visible").click()
    used.click()
    expect(page.locator(".st-key-form_row")).to_contain_text("Table: part, count")  # the preset brings it
    page.goto(f"{chat.url}/compare")
    choose_columns(page, "compare_form_open")
    page.locator(".st-key-compare_question textarea").fill("Which parts are there?")
    page.locator(".st-key-compare_question textarea").press("Control+Enter")
    page.locator(".st-key-compare_start button").click()
    expect(page.locator(".tk-column")).to_have_count(3)
    for number in range(3):
        expect(page.locator(".tk-column").nth(number).locator("tbody tr").last).to_contain_text("bolt 39")
