"""A person runs a tiny study with SmolLM2 and reads its report; the pictures are drawn under our policy."""

import pytest
from playwright.sync_api import Page, expect

from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_tiny_study_runs_to_its_report(page: Page, app: App) -> None:
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
    page.goto(f"{app.url}/lab?view=new")
    page.get_by_role("radio", name="Your own grid").click()
    for key, text in (("lab_temperatures", "0.3, 1.0"), ("lab_lengths", "8, 24")):
        box = page.locator(f".st-key-{key} input")
        box.fill(text)
        box.press("Enter")
    for key in ("lab_each", "lab_seeds"):
        box = page.locator(f".st-key-{key} input")
        box.fill("1")
        box.press("Enter")
    expect(page.locator(".lab-plan dd").first).to_have_text("4")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".st-key-card_lab_run .tk-progress")).to_contain_text("done", timeout=180_000)
    expect(page.locator(".lab-verdicts li").first).to_be_visible()
    expect(page.locator(".lab-cells tbody tr")).to_have_count(4)
    expect(page.locator(".st-key-lab_chart_0 .vega-embed").first).to_be_visible()
    with page.expect_download(timeout=60_000) as given:
        page.get_by_role("button", name="HTML report").click()
    report = given.value.path().read_text(encoding="utf-8")
    assert "<svg" in report and "<script" not in report
    page.reload()
    expect(page.locator(".lab-verdicts li").first).to_be_visible()
    assert refused == []
