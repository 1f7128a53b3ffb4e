"""The transcript component in Chromium, on the real server with the real job manager."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from demo_server import Demo
from playwright.sync_api import BrowserContext, Locator, Page, expect

pytestmark = pytest.mark.browser
SHOTS = Path(os.environ.get("TWOKEYS_SHOTS") or Path(__file__).parent.parent.parent / "test-results")


def ask(page: Page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")


def answer(page: Page, number: int = -1) -> Locator:
    locator = page.locator(".tk-assistant")
    return locator.last if number == -1 else locator.nth(number)


@pytest.fixture
def opened(page: Page, demo: Demo) -> Page:
    page.goto(demo.page())
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
    return page


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def test_an_answer_streams_and_ends_with_its_figures(opened: Page) -> None:
    ask(opened, "Explain it")
    expect(opened.locator(".tk-growing .tk-md h2")).to_be_visible()
    expect(opened.locator(".tk-growing .tk-status")).to_contain_text("Answering")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=20_000)
    body = opened.locator(".tk-assistant .tk-md")
    expect(body.locator("table")).to_have_count(1)
    expect(body.locator(".tk-code code .hl-keyword").first).to_have_text("import")
    expect(body.locator(".katex").first).to_be_visible()
    expect(body.locator("strong").first).to_have_text("简单说：")
    expect(body.locator("em.tk-cjk")).to_have_text("小一点")
    expect(body).to_contain_text("$5 to $10")
    shot(opened, "answer")


def test_the_streamed_page_equals_the_page_drawn_at_once(opened: Page) -> None:
    ask(opened, "Explain it")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=20_000)
    body = opened.locator(".tk-assistant .tk-md")
    expect(body.locator(".katex")).to_have_count(4)
    streamed = body.inner_html()
    opened.reload()
    expect(body.locator(".katex")).to_have_count(4)
    assert body.inner_html() == streamed


def test_a_slider_and_a_reload_and_a_second_tab_keep_the_streaming_answer(
    opened: Page, demo: Demo, context: BrowserContext
) -> None:
    ask(opened, "slow")
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word word")
    opened.locator("input[type=range]").first.press("ArrowRight")
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word " * 20)
    opened.reload()
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word " * 30)
    second = context.new_page()
    second.goto(demo.page())
    expect(second.locator(".tk-growing .tk-md")).to_contain_text("word " * 40)
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=30_000)
    expect(second.locator(".tk-figures")).to_contain_text("complete")
    for tab in (opened, second):
        words = tab.locator(".tk-assistant .tk-md").inner_text().split()
        assert len(words) == 200 and set(words) == {"word"}


def test_stop_ends_the_answer_and_keeps_its_text(opened: Page) -> None:
    ask(opened, "slow")
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word word")
    opened.get_by_role("button", name="Stop").click()
    expect(opened.locator(".tk-banner")).to_contain_text("You stopped the answer here", timeout=3000)
    expect(opened.locator(".tk-assistant .tk-md")).to_contain_text("word word")


def test_escape_stops_the_answer(opened: Page) -> None:
    ask(opened, "slow")
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word word")
    opened.keyboard.press("Escape")
    expect(opened.locator(".tk-banner")).to_contain_text("You stopped the answer here")


def test_no_action_is_lost_when_several_meet(opened: Page) -> None:
    ask(opened, "cut")
    expect(opened.locator(".tk-banner")).to_be_visible()
    expect(opened.locator(".tk-assistant [data-do=details]")).to_be_attached()
    opened.locator(".tk-assistant").evaluate(
        """async (answer) => {
            for (let press = 0; press < 12; press += 1) {
                answer.querySelector("[data-do=details]").click()
                await new Promise((resolve) => setTimeout(resolve, 4 * press))
            }
        }"""
    )
    expect(opened.get_by_test_id("stCode")).to_have_text(
        re.compile(r"^((refresh\s*)*details:\w+\s*){12}(refresh\s*)*$")
    )


def test_a_cut_answer_says_so_with_its_limit_and_continues(opened: Page) -> None:
    ask(opened, "cut")
    banner = opened.locator(".tk-banner")
    expect(banner).to_contain_text("reached the maximum length of 2048")
    shot(opened, "cut")
    banner.get_by_role("button", name="Continue").click()
    expect(opened.get_by_test_id("stCode")).to_contain_text("continue:")


def test_a_stall_is_said_while_it_lasts(opened: Page) -> None:
    ask(opened, "stall")
    expect(opened.locator(".tk-stalled .tk-phase")).to_have_text(
        re.compile(r"alive but slow \([34] s"), timeout=8000
    )
    shot(opened, "stall")
    expect(opened.locator(".tk-assistant .tk-md")).to_contain_text("After it.", timeout=8000)


def test_a_failed_answer_keeps_its_text_and_offers_to_go_on(opened: Page) -> None:
    ask(opened, "die")
    expect(opened.locator(".tk-assistant .tk-md")).to_have_text("Half an ans")
    expect(opened.locator(".tk-banner-bad")).to_be_visible()
    shot(opened, "failed")
    expect(opened.locator(".tk-banner").get_by_role("button", name="Continue")).to_be_visible()


def test_phases_are_shown_before_the_first_token(start_demo: Callable[..., Demo], page: Page) -> None:
    slow = start_demo(DEMO_START_S="2")
    page.goto(slow.page())
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
    ask(page, "Explain it")
    expect(page.locator(".tk-phase")).to_have_text(re.compile("Starting the engine|Loading the model"))
    shot(page, "phase")
    expect(page.locator(".tk-phase")).to_have_text(re.compile("Reading the prompt|first token"), timeout=6000)
    expect(page.locator(".tk-figures")).to_contain_text("complete", timeout=20_000)


def test_a_second_question_waits_visibly_and_can_be_cancelled(opened: Page) -> None:
    ask(opened, "slow")
    expect(opened.locator(".tk-growing .tk-md").first).to_contain_text("word")
    ask(opened, "Another question")
    waiting = answer(opened)
    expect(waiting.locator(".tk-phase")).to_contain_text("Queued")
    shot(opened, "queued")
    waiting.get_by_role("button", name="Cancel").click()
    expect(waiting.locator(".tk-phase")).to_have_count(0)
    expect(answer(opened, 0).locator(".tk-status")).to_contain_text("Answering")


def test_versions_can_be_switched_and_a_question_edited(opened: Page) -> None:
    ask(opened, "emoji")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=15_000)
    opened.get_by_role("button", name="Regenerate").click()
    expect(opened.locator(".tk-versions")).to_contain_text("2/2")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=15_000)
    opened.get_by_role("button", name="Previous version").click()
    expect(opened.locator(".tk-versions")).to_contain_text("1/2")
    opened.locator(".tk-user").hover()
    opened.get_by_role("button", name="Edit and branch").click()
    editor = opened.get_by_role("textbox", name="Edit your question")
    expect(editor).to_be_focused()
    expect(editor).to_have_value("emoji")
    shot(opened, "edit")
    editor.fill("die now")
    editor.press("Control+Enter")
    expect(opened.locator(".tk-bubble")).to_have_text("die now")
    expect(opened.locator(".tk-assistant .tk-md")).to_have_text("Half an ans")


def test_emoji_of_several_units_arrive_whole(opened: Page) -> None:
    ask(opened, "emoji")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=15_000)
    assert (
        opened.locator(".tk-assistant .tk-md").inner_text().strip()
        == ("🙂 你好 👩‍👩‍👧 " * 40 + "end").strip()
    )


def test_an_answer_cannot_fetch_anything(opened: Page, demo: Demo) -> None:
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    ask(opened, "leak")
    link = opened.locator(".tk-image")
    expect(link).to_have_text("Image (not loaded): secret")
    expect(opened.locator(".tk-md img")).to_have_count(0)
    expect(opened.locator(".tk-md")).to_contain_text("<img src=x>")
    for anchor in opened.locator(".tk-md a").all():
        assert anchor.get_attribute("rel") == "noopener noreferrer"
        assert anchor.get_attribute("target") == "_blank"
    assert [url for url in asked if not url.startswith((demo.url, "data:", "blob:"))] == []


def test_scrolling_up_stays_there_until_the_person_jumps_back(opened: Page) -> None:
    ask(opened, "long 3000 400")
    expect(opened.locator(".tk-growing .tk-md table").first).to_be_visible()
    opened.mouse.move(700, 300)
    for _ in range(8):
        opened.mouse.wheel(0, -600)
    latest = opened.get_by_role("button", name="Jump to latest")
    expect(latest).to_be_visible()
    top = "document.querySelector('.stMain').scrollTop"
    before = opened.evaluate(top)
    opened.wait_for_timeout(700)
    assert abs(opened.evaluate(top) - before) < 5
    shot(opened, "latest")
    latest.click()
    expect(latest).to_be_hidden()
    bottom = "(m => m.scrollHeight - m.scrollTop - m.clientHeight)(document.querySelector('.stMain'))"
    opened.wait_for_function(f"{bottom} < 80")


def test_the_language_of_the_page_follows_the_option(page: Page, demo: Demo) -> None:
    page.goto(demo.page(lang="zh"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN", timeout=30_000)
    ask(page, "cut")
    expect(page.locator(".tk-banner")).to_contain_text("还没写完")


def test_earlier_messages_and_the_clearing_are_marked(page: Page, demo: Demo) -> None:
    page.goto(demo.page())
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
    ask(page, "cut")
    expect(page.locator(".tk-banner")).to_be_visible()
    first = page.locator(".tk-user").get_attribute("data-message")
    page.goto(demo.page(cleared=first or ""))
    expect(page.locator(".tk-divider")).to_contain_text("Model state cleared here")
    page.goto(demo.page(earlier="1"))
    page.get_by_role("button", name="Show 1 earlier message").click()
    expect(page.get_by_test_id("stCode")).to_contain_text("earlier")


def test_the_connection_comes_back_and_loses_nothing(opened: Page, context: BrowserContext) -> None:
    ask(opened, "slow")
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word word")
    context.set_offline(True)
    opened.wait_for_timeout(800)
    context.set_offline(False)
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=30_000)
    assert opened.locator(".tk-assistant .tk-md").inner_text().split().count("word") == 200


def test_status_is_announced_without_reading_every_token(opened: Page) -> None:
    said: list[str] = []
    opened.expose_function("heard", lambda text: said.append(text))
    opened.evaluate(
        """() => {
            const region = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot
                .querySelector('[aria-live=polite]')
            new MutationObserver(() => window.heard(region.textContent)).observe(region, {childList: true})
        }"""
    )
    ask(opened, "slow")
    expect(opened.locator(".tk-figures")).to_contain_text("complete", timeout=30_000)
    assert "Answer started" in said
    assert said[-1] == "Answer ended: complete"
    assert len(said) < 8


def test_a_table_grows_by_rows_and_shows_what_was_written(opened: Page) -> None:
    ask(opened, "table slowly")
    growing = opened.locator(".tk-growing .tk-form")
    expect(growing.locator("tbody tr.tk-half")).to_have_count(1)
    expect(growing.locator("tbody td").first).to_have_text("螺丝 M6")
    body = opened.locator(".tk-assistant .tk-form")
    expect(body.locator(".tk-verdict")).to_have_text("Valid")
    expect(body.locator("th").filter(has_not=body.locator("td th"))).to_contain_text(
        ["part", "count", "in stock", "sizes", "note"]
    )
    first, second = body.locator("tbody").first.locator(":scope > tr").all()
    assert first.locator("td").all_inner_texts() == ["螺丝 M6", "12345678901234567890", "yes", "S, L", "–"]
    assert second.locator("> td").all_inner_texts()[:4] == ['a <b> "quoted"\nsecond line', "1.10", "no", ""]
    expect(second.locator("> td").last).to_contain_text("Ann")
    expect(body.locator(".tk-form-head")).to_contain_text("2 rows")
    expect(body.locator(".tk-half")).to_have_count(0)


def test_the_raw_text_of_a_table_is_a_click_away(opened: Page) -> None:
    ask(opened, "table")
    body = opened.locator(".tk-assistant .tk-form")
    expect(body.locator("tbody tr").first).to_be_visible()
    body.get_by_role("button", name="Raw text").click()
    expect(body.locator("pre")).to_contain_text('"count": 1.10')
    expect(body.locator(".tk-form-table")).to_have_count(0)
    body.get_by_role("button", name="Table").click()
    expect(body.locator(".tk-form-table")).to_have_count(1)


def test_a_cut_table_counts_its_whole_rows(opened: Page) -> None:
    ask(opened, "table half")
    expect(opened.locator(".tk-banner")).to_contain_text("Cut off after 1 row.")
    expect(opened.locator(".tk-form-head")).to_contain_text("1 row")
    expect(opened.locator(".tk-form .tk-half")).to_have_count(1)


def test_an_answer_that_is_no_json_is_shown_as_it_came(page: Page, demo: Demo) -> None:
    page.goto(demo.page())
    ask(page, "tableless")
    expect(page.locator(".tk-figures")).to_contain_text("complete")
    expect(page.locator(".tk-form pre")).to_be_visible()
    expect(page.locator(".tk-form-table")).to_have_count(0)
