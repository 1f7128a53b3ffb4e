"""A person runs tiny studies with SmolLM2: to a report, with a pause, the claims', a tuning to its verdict.

The pictures are drawn under our policy.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import App, rest

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
    box = page.locator(".st-key-lab_picture_x [data-testid=stSelectbox]").get_by_role("combobox")
    box.scroll_into_view_if_needed()
    option = page.get_by_role("option", name="maximum length (tokens)")
    for _ in range(10):  # while the charts are drawn below, the list closes again
        box.click()
        page.wait_for_timeout(300)
        if option.is_visible():
            break
    option.click()
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
    # the framework's word until the page has put ours in its place
    sets.get_by_role("button", name=re.compile("^Clear( all)?$")).click()
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
    page.goto(f"{app.url}/lab")  # it opens on the conclusions
    expect(page.locator(".lab-claim")).to_have_count(15)
    third = page.locator(".lab-claim").nth(2)
    expect(third.locator("summary > span").nth(1)).to_have_text("refuted")
    expect(third.locator("summary > span").nth(2)).to_have_text("not run yet")
    expect(third.locator("ul")).not_to_be_visible()
    third.locator("summary").click()
    expect(third.locator("ul")).to_be_visible()
    expect(page.locator(".lab-claim").nth(2)).to_contain_text("qwen2.5-coder-0.5b")
    page.get_by_role("button", name="Run it on my model").click()
    pauses = page.locator("[class*=st-key-lab_pause_] button:visible")
    expect(pauses).to_have_count(9)
    for left in range(8, -1, -1):
        # the newest, which still waits, is the first of the list
        pauses.first.click()
        expect(pauses).to_have_count(left)
    expect(page.locator("[class*=st-key-row_lab_] .tk-tag", has_text="paused")).to_have_count(9)


FOUR_REQUESTS = """
name = "reading-role"
seeds = 1
baseline = "plain 0.1"
outcomes = ["tokens"]
n_probs = 0
[base]
max_new_tokens = 24
[[cell]]
name = "plain 0.1"
temperature = 0.1
[[cell]]
name = "role 0.55"
temperature = 0.55
system_prompt = "You are an experienced editor."
""" + "".join(
    f'[[prompt]]\nid = "r{number}"\ntext = "{text}"\ntask = "copy"\n'
    for number, text in enumerate(
        ("Thank a colleague who retires.", "Decline an offer politely.", "Advertise a used bicycle.",
         "Invite people to a talk on bees.")
    )
)  # fmt: skip


def choose(page: Page, side: str, number: int) -> None:
    """Say which answer of a pair reads better: those of the pair before may still stand for a moment."""
    rest(page)
    page.locator(f".st-key-lab_read_{side}_{number} button").click()


def test_pairs_are_read_blind_beside_each_other_and_on_a_phone(page: Page, app: App) -> None:
    page.goto(f"{app.url}/lab")
    expect(page.locator(".lab-claim summary")).to_have_count(15, timeout=DONE_MS)
    # forty answers take minutes: a shorter study of the same name is read here instead
    expect(page.get_by_role("button", name="Write the answers")).to_be_enabled(timeout=DONE_MS)
    page.goto(f"{app.url}/lab?view=new")
    page.get_by_role("radio", name="A file", exact=True).click()
    page.locator(".st-key-lab_file input").set_input_files(
        {"name": "reading.toml", "mimeType": "text/plain", "buffer": FOUR_REQUESTS.encode()}
    )
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".st-key-card_lab_run .tk-progress")).to_contain_text("done", timeout=DONE_MS)
    page.goto(f"{app.url}/lab")
    page.get_by_role("button", name="Begin (4 pairs)").click(timeout=DONE_MS)
    place = page.locator(".lab-title span")
    expect(place).to_have_text("Pair 1 of 4")
    answers = page.locator(".lab-pair article")
    expect(answers.locator("h3")).to_have_text(["A", "B"])
    left, right = answers.evaluate_all(
        "(all) => all.map((answer) => answer.getBoundingClientRect().toJSON())"
    )
    assert left["y"] == right["y"] and left["x"] < right["x"]
    expect(page.get_by_text("with a role", exact=False)).to_have_count(0)
    choose(page, "a", 0)
    expect(place).to_have_text("Pair 2 of 4")
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(place).to_have_text("Pair 2 of 4")
    upper, lower = answers.nth(0).bounding_box(), answers.nth(1).bounding_box()
    assert upper is not None and lower is not None and upper["y"] < lower["y"] and upper["x"] == lower["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for number, choice in ((1, "b"), (2, "tie")):
        choose(page, choice, number)
        expect(place).to_have_text(f"Pair {number + 2} of 4")
    rest(page)
    page.get_by_role("button", name="Change the last one").click()
    expect(place).to_have_text("Pair 3 of 4")
    choose(page, "a", 2)
    expect(place).to_have_text("Pair 4 of 4")
    choose(page, "a", 3)
    expect(page.locator(".lab-read")).to_have_count(4)
    expect(page.locator(".lab-winner")).to_contain_text("In 4 pairs read blind")
    page.locator(".lab-read summary").first.click()
    expect(page.locator(".lab-read .lab-pair h3", has_text="0.55 with a role").first).to_be_visible()
    page.goto(f"{app.url}/lab")
    eleventh = page.locator(".lab-claim", has=page.locator("summary > span", has_text=re.compile("^C11$")))
    expect(eleventh.locator("summary > span").nth(2)).to_have_text("not decidable here")
