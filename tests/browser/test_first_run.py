"""A first run from an empty home: the download with pause and resume, the first answer, the better model."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import running_app
from tests.models.hub_server import Fault, running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERVE = str(Path(__file__).with_name("serve_first_run.py"))
BETTER_REPOSITORY, BETTER_FILE = "Qwen/Qwen2.5-7B-Instruct-GGUF", "qwen2.5-7b-instruct-q4_k_m.gguf"
REPOSITORY, FILE = "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"
SLOW_BYTES_PER_S = 3e6


def test_an_empty_home_fetches_the_smallest_model_answers_and_gives_way(
    page: Page, tmp_path: Path, smollm2: Path, qwen: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    content = smollm2.read_bytes()
    with running_hub() as hub:
        hub.repositories[REPOSITORY] = {FILE: content}
        hub.repositories[BETTER_REPOSITORY] = {BETTER_FILE: qwen.read_bytes()}
        hub.fault(FILE, Fault(bytes_per_s=SLOW_BYTES_PER_S), always=True)
        surroundings = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": nowhere}
        with running_app(tmp_path, command=(SERVE, str(smollm2), str(qwen)), **surroundings) as app:
            page.goto(app.url)
            bar = page.locator(".st-key-bar_first")
            expect(bar).to_contain_text("downloading")
            expect(bar).to_contain_text(re.compile(r"/s, .* left"))
            page.locator(".st-key-bar_first [class*='st-key-pause_'] button").click()
            expect(bar).to_contain_text("paused")
            sent_bytes = -1
            while sent_bytes != hub.sent(FILE):  # its connection is given back within moments
                sent_bytes = hub.sent(FILE)
                page.wait_for_timeout(1000)
            assert sent_bytes < len(content)
            hub.faults.clear()
            page.locator(".st-key-bar_first [class*='st-key-resume_'] button").click()
            expect(bar).to_have_count(0, timeout=60_000)
            assert hub.downloads(FILE)[-1].range, "it went on where it was, not from the beginning"
            box = page.locator(".st-key-chat_send textarea")
            box.fill("Say hello in one short sentence.")
            box.press("Enter")
            expect(page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=90_000)
            expect(page.locator(".tk-assistant")).to_contain_text("by qwen2.5-0.5b")
            # the better model comes after one click, and answers after one more, in the same conversation
            page.locator(".st-key-bar_recommended").get_by_role("button", name="Download").click()
            switch = page.locator(".st-key-switch_model button")
            expect(switch).to_be_visible(timeout=120_000)
            switch.click()
            expect(switch).to_have_count(0)
            box.fill("And now say goodbye.")
            box.press("Enter")
            expect(page.locator(".tk-assistant .tk-figures")).to_have_count(2, timeout=120_000)
            expect(page.locator(".tk-user")).to_have_count(2)
            expect(page.locator(".tk-assistant").first).to_contain_text("by qwen2.5-0.5b")
            expect(page.locator(".tk-assistant").last).not_to_contain_text("by qwen2.5-0.5b")
