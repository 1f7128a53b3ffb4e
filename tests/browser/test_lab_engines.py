"""A study on two real servers from the lab's page: chosen, watched while they write, one of them lost."""

import os
import signal

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_lab import DONE_MS, fill
from tests.real_server import listener, running_server

from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_study_runs_on_two_servers_and_goes_on_when_one_is_killed(
    page: Page, app: App, llama_server: str, smollm2: str
) -> None:
    flags = ("-c", "512", "-np", "1")
    with (
        running_server(llama_server, smollm2, *flags) as first,
        running_server(llama_server, smollm2, *flags) as second,
    ):
        page.goto(f"{app.url}/lab?view=new")
        page.get_by_role("radio", name="Your own grid").click()
        for key, text in (("lab_temperatures", "0.3, 1.0"), ("lab_lengths", "64"), ("lab_each", "8"),
                          ("lab_seeds", "1")):  # fmt: skip
            fill(page, key, text)
        expect(page.locator(".lab-plan dd").first).to_have_text("16")
        page.get_by_role("radio", name="Several servers").click()
        start = page.locator(".st-key-lab_new_start button")
        expect(start).to_be_disabled()
        box = page.locator(".st-key-lab_servers_new textarea")
        box.fill(f"{first}\n{second}")
        box.press("Control+Enter")
        expect(start).to_be_enabled()
        start.click()
        engines = page.locator(".lab-fleet li")
        expect(engines).to_have_count(2)
        for place, url in enumerate((first, second)):
            expect(engines.nth(place)).to_contain_text(url)
            expect(engines.nth(place).locator(".tk-tag")).to_have_text("writing", timeout=60_000)
            expect(engines.nth(place)).to_contain_text("smollm2")
        expect(engines.nth(1)).to_contain_text("a minute", timeout=60_000)
        os.kill(listener(first), signal.SIGKILL)
        expect(engines.nth(0).locator(".tk-tag")).to_have_text("lost", timeout=60_000)
        expect(engines.nth(0).locator(".wrong")).to_contain_text(first)
        progress = page.locator(".st-key-card_lab_run .tk-progress")
        expect(progress).to_contain_text("done · 16 of 16 answers", timeout=DONE_MS)
        table = page.locator(".tk-fit table", has_text="Build").last
        expect(table.locator("tbody th", has_text=second)).to_be_visible()
    page.goto(f"{app.url}/lab?view=new")
    page.get_by_role("radio", name="Several servers").click()
    page.locator(".st-key-lab_known_new").get_by_role("combobox").click()
    expect(page.get_by_role("option", name=second)).to_be_visible()
