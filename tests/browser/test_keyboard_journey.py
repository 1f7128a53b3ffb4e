"""From an empty home to a conversation in a file, by the keyboard alone."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import rest, running_app
from tests.models.hub_server import running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERVE = str(Path(__file__).with_name("serve_first_run.py"))
REPOSITORY, FILE = "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"
QUESTION = "Say hello in one short sentence."
MOST_TABS = 30
COUNT_POINTERS = """
window.pointers = 0
for (const kind of ["pointerdown", "mousedown", "touchstart"]) addEventListener(kind, () => pointers++, true)
"""


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the cursor is there; every stop on the way must show that it has it."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("(element) => element === document.activeElement"):
            outline = wanted.evaluate("(element) => getComputedStyle(element).outlineStyle")
            assert outline != "none", "whoever sees the page sees where the cursor is"
            return
    pytest.fail(f"not reached with {MOST_TABS} Tabs")


def command(page: Page, name: str) -> None:
    page.keyboard.press("Control+k")
    expect(page.locator(".tk-palette-field")).to_be_focused()
    page.keyboard.type(name)
    expect(page.locator(".tk-palette [aria-selected=true]")).to_be_visible()
    page.keyboard.press("Enter")


def test_an_empty_home_a_question_and_its_file_need_no_mouse(
    page: Page, tmp_path: Path, smollm2: Path, qwen: Path
) -> None:
    home = tmp_path
    page.add_init_script(COUNT_POINTERS)
    with running_hub() as hub:
        hub.repositories[REPOSITORY] = {FILE: smollm2.read_bytes()}
        surroundings = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}
        with running_app(home, command=(SERVE, str(smollm2), str(qwen)), **surroundings) as app:
            page.goto(app.url)
            box = page.locator(".st-key-chat_send textarea")
            expect(box).to_be_focused()
            expect(page.locator(".tk-palette-field")).to_have_count(1)
            command(page, "precise")
            expect(page.locator(".st-key-keys_card output").first).to_have_text("0.30")
            expect(box).to_be_focused()
            page.keyboard.type(QUESTION)
            page.keyboard.press("Enter")  # it waits for the model, which is on its way
            expect(page.locator(".tk-user")).to_contain_text(QUESTION)
            expect(page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=120_000)
            answer = page.locator(".tk-assistant .tk-md").inner_text().strip()
            assert answer

            command(page, "export or share")
            button = page.locator("[class*=st-key-export_md] button")
            expect(button).to_be_visible()
            tab_to(page, button)
            with page.expect_download() as saved:
                page.keyboard.press("Enter")
            file = tmp_path / "saved.md"
            saved.value.save_as(file)
            text = file.read_text(encoding="utf-8")
            assert QUESTION in text and answer.splitlines()[0] in text

            rest(page)
            page.keyboard.press("Escape")
            expect(page.locator("[role=dialog]:visible")).to_have_count(0)
            expect(box).to_be_focused()
            assert page.evaluate("pointers") == 0
