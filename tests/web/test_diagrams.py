"""Diagrams in answers: drawn in the page by its own library, shown as pictures, source a click away."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from demo_server import Demo
from playwright.sync_api import BrowserContext, Locator, Page, expect
from serve_demo import DIAGRAMS
from test_transcript import ask, shot

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(page: Page, demo: Demo) -> Page:
    page.goto(demo.page())
    expect(page.locator(".tk-root")).to_be_attached(timeout=30_000)
    return page


def picture(page: Page) -> Locator:
    return page.locator(".tk-diagram img")


def finished(page: Page) -> None:
    expect(page.locator(".tk-figures")).to_contain_text("complete", timeout=20_000)


def test_a_fence_of_mermaid_is_shown_as_a_picture(opened: Page) -> None:
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    assert not opened.evaluate(
        "performance.getEntriesByType('resource').some((entry) => /mermaid/.test(entry.name))"
    )
    ask(opened, "diagram flow")
    finished(opened)
    expect(picture(opened)).to_be_visible(timeout=20_000)
    assert str(picture(opened).get_attribute("src")).startswith("data:image/svg+xml,")
    assert "提出问题" in str(picture(opened).get_attribute("alt"))
    assert picture(opened).evaluate("(image) => image.naturalWidth") > 100
    expect(opened.locator("[id^=dtk-drawing], body > svg")).to_have_count(0)
    assert any("mermaid" in url for url in asked)
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {
        "127.0.0.1"
    }
    shot(opened, "diagram")


def test_the_source_is_one_click_away_and_so_is_the_way_back(
    opened: Page, context: BrowserContext, tmp_path: Path
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(opened, "diagram flow")
    finished(opened)
    expect(picture(opened)).to_be_visible(timeout=20_000)
    block = opened.locator(".tk-drawn")
    expect(block.locator("pre")).to_be_hidden()
    block.get_by_role("button", name="Copy").click()
    assert opened.evaluate("navigator.clipboard.readText()") == DIAGRAMS["flow"]
    with opened.expect_download() as download:
        block.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "code.mmd"
    download.value.save_as(tmp_path / "code.mmd")
    assert (tmp_path / "code.mmd").read_text(encoding="utf-8") == DIAGRAMS["flow"]
    block.get_by_role("button", name="Source").click()
    expect(block.locator("code")).to_have_text(DIAGRAMS["flow"])
    expect(block.locator("pre")).to_be_visible()
    expect(picture(opened)).to_be_hidden()
    shot(opened, "diagram_source")
    button = block.get_by_role("button", name="Diagram")
    expect(button).to_be_focused()
    button.press("Enter")
    expect(picture(opened)).to_be_visible()


def test_a_diagram_is_drawn_as_soon_as_its_fence_is_closed(opened: Page) -> None:
    ask(opened, "open")
    expect(opened.locator(".tk-growing .tk-diagram img")).to_be_visible(timeout=9_000)
    expect(opened.locator(".tk-growing .tk-md")).to_contain_text("word word")


def test_source_that_cannot_be_drawn_stays_code(opened: Page) -> None:
    ask(opened, "diagram broken huge flow")
    finished(opened)
    expect(picture(opened)).to_have_count(1, timeout=20_000)
    code = opened.locator(".tk-code:not(.tk-drawn) code")
    expect(code).to_have_count(2)
    expect(code.first).to_have_text(DIAGRAMS["broken"])
    expect(code.last).to_have_text(DIAGRAMS["huge"])
    expect(opened.locator(".tk-diagram-wait, body > svg, [id*=tk-drawing]")).to_have_count(0)
    expect(opened.get_by_text("Syntax error")).to_have_count(0)


def test_a_diagram_runs_no_script_and_fetches_nothing(opened: Page) -> None:
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    ask(opened, "diagram script fetch picture flow")
    finished(opened)
    expect(opened.locator(".tk-diagram-wait")).to_have_count(0, timeout=20_000)
    expect(picture(opened)).to_have_count(3)
    expect(opened.locator(".tk-code:not(.tk-drawn) code")).to_have_text(DIAGRAMS["picture"])
    picture(opened).first.click()
    opened.wait_for_timeout(500)
    assert opened.evaluate("window.ran") is None
    for image in picture(opened).all():
        assert "foreignObject" not in str(image.get_attribute("src"))
    assert not [url for url in asked if "leak.example" in url]
    shot(opened, "diagram_script")


def test_a_wide_diagram_scrolls_in_its_own_box(page: Page, demo: Demo) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(demo.page())
    ask(page, "diagram flow wide")
    finished(page)
    expect(picture(page)).to_have_count(2, timeout=20_000)
    small, wide = page.locator(".tk-diagram").all()
    assert small.evaluate("(box) => box.scrollWidth <= box.clientWidth")
    assert wide.evaluate("(box) => box.scrollWidth > box.clientWidth + 100")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "diagram_phone")


def test_a_diagram_follows_the_brightness_of_the_page(opened: Page) -> None:
    ask(opened, "diagram flow wide")
    finished(opened)
    expect(picture(opened)).to_have_count(2, timeout=20_000)
    light = str(picture(opened).first.get_attribute("src"))
    opened.emulate_media(color_scheme="dark")
    expect(picture(opened).first).not_to_have_attribute("src", light, timeout=20_000)
    expect(opened.locator(".tk-root")).to_have_attribute("data-theme", re.compile("dark"))
    opened.wait_for_timeout(500)
    shot(opened, "diagram_dark")
