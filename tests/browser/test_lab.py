"""A person runs tiny studies with SmolLM2: to a report, with a pause, the claims', a tuning to its verdict.

The pictures are drawn under our policy.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.slow]


DONE_MS = 180_000


def fill(page: Page, key: str, text: str) -> None:
    """Type into a field of the form and leave it."""
    box = page.locator(f".st-key-{key} input")
    box.fill(text)
    box.press("Enter")


def start_study(page: Page, app: App, *, lengths: str, each: int, answers: int) -> None:
    """Start a study of two temperatures from the form."""
    page.goto(f"{app.url}/lab?view=new")
    page.get_by_role("radio", name="Your own grid").click()
    for key, text in (("lab_temperatures", "0.3, 1.0"), ("lab_lengths", lengths), ("lab_each", str(each)),
                      ("lab_seeds", "1")):  # fmt: skip
        fill(page, key, text)
    expect(page.locator(".lab-plan dd").first).to_have_text(str(answers))
    page.get_by_role("button", name="Start", exact=True).click()


def test_a_tiny_study_runs_to_its_report(page: Page, app: App) -> None:
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
    start_study(page, app, lengths="8, 24", each=1, answers=4)
    expect(page.locator(".st-key-card_lab_run .tk-progress")).to_contain_text("done", timeout=DONE_MS)
    expect(page.locator(".lab-verdicts li").first).to_be_visible()
    expect(page.locator(".lab-cells tbody tr")).to_have_count(4)
    expect(page.locator(".st-key-lab_chart_0 .vega-embed").first).to_be_visible()
    page.locator(".st-key-lab_picture_x [data-testid=stSelectbox]").get_by_role("combobox").click()
    page.get_by_role("option", name="maximum length (tokens)").click()
    caption = page.locator(".st-key-lab_chart_1 .lab-caption")
    expect(caption).to_have_text("maximum length (tokens) × temperature")
    with page.expect_download(timeout=60_000) as given:
        page.get_by_role("button", name="HTML report").click()
    report = given.value.path().read_text(encoding="utf-8")
    assert "<svg" in report and "<script" not in report
    page.reload()
    expect(page.locator(".lab-verdicts li").first).to_be_visible()
    assert refused == []


def test_a_paused_study_stays_paused_over_a_reload_and_goes_on_to_its_end(page: Page, app: App) -> None:
    start_study(page, app, lengths="96", each=3, answers=6)
    state = page.locator(".st-key-card_lab_run .tk-progress")
    expect(page.locator(".lab-now b")).to_be_visible(timeout=90_000)
    page.locator(".st-key-lab_pause button").click()
    expect(state).to_contain_text("paused")
    page.reload()
    expect(state).to_contain_text("paused")
    expect(state).to_contain_text("of 6 answers")
    page.locator(".st-key-lab_start button").click()
    expect(state).to_contain_text("done · 6 of 6 answers", timeout=DONE_MS)
    expect(page.locator(".lab-cells tbody th")).to_have_text(["temperature=0.3", "temperature=1.0"])


def test_right_answers_to_prompts_of_ones_own_are_tuned_to_a_verdict(page: Page, app: App) -> None:
    page.goto(f"{app.url}/lab?view=tune")
    sets = page.locator(".st-key-tune_sets_correct")
    sets.get_by_role("button", name="Clear all").click()
    own = page.locator(".st-key-tune_own_correct textarea")
    own.fill("What is 1 + 1? => number: two")
    own.press("Control+Enter")
    expect(page.get_by_text("line 1 (“What is 1 + 1? => number: two”) needs a number")).to_be_visible()
    own.fill("\n".join(f"What is {n} + 1? Answer with the number. => number: {n + 1}" for n in range(1, 5)))
    own.press("Control+Enter")
    fill(page, "tune_length", "16")
    fill(page, "tune_budget", "40")
    expect(page.get_by_text("12 settings are tried")).to_be_visible()
    page.locator(".st-key-tune_start button").click()
    card = page.locator("[class*=st-key-card_tuning_]")
    expect(card).to_contain_text("Done · 40 of 40 answers", timeout=DONE_MS)
    expect(card.locator(".lab-winner").last).to_have_text(
        re.compile(
            r"(Better on unseen prompts|Not shown to be better; stay with the default)\. share correct"
        )
    )


def test_the_claims_are_shown_and_their_study_starts_with_one_button_and_pauses(page: Page, app: App) -> None:
    page.goto(f"{app.url}/lab?view=claims")
    expect(page.locator(".lab-claim")).to_have_count(15)
    expect(page.locator(".lab-claim").nth(2)).to_contain_text("qwen2.5-coder-0.5b")
    page.get_by_role("button", name="Run it on my model").click()
    pauses = page.locator("[class*=st-key-lab_pause_] button:visible")
    expect(pauses).to_have_count(8)
    for left in range(7, -1, -1):
        # the newest, which still waits, is the first of the list
        pauses.first.click()
        expect(pauses).to_have_count(left)
    expect(page.locator("[class*=st-key-row_lab_] .tk-tag", has_text="paused")).to_have_count(8)
