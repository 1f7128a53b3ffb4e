"""A first run from an empty home: the download with pause and resume, and the first answer after it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import running_app
from tests.models.hub_server import Fault, running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERVE = str(Path(__file__).with_name("serve_first_run.py"))
REPOSITORY, FILE = "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"
SLOW_BYTES_PER_S = 3e6


def test_an_empty_home_fetches_the_smallest_model_pauses_resumes_and_answers(
    page: Page, tmp_path: Path, smollm2: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    content = smollm2.read_bytes()
    with running_hub() as hub:
        hub.repositories[REPOSITORY] = {FILE: content}
        hub.fault(FILE, Fault(bytes_per_s=SLOW_BYTES_PER_S), always=True)
        surroundings = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": nowhere}
        with running_app(tmp_path, command=(SERVE, str(smollm2)), **surroundings) as app:
            page.goto(app.url)
            card = page.locator(".st-key-card_first")
            expect(card).to_contain_text("downloading")
            expect(card).to_contain_text(re.compile(r"/s, .* left"))
            page.locator(".st-key-card_first [class*='st-key-pause_'] button").click()
            expect(card).to_contain_text("paused")
            kept = hub.sent(FILE)
            assert kept < len(content)
            hub.faults.clear()
            page.locator(".st-key-card_first [class*='st-key-resume_'] button").click()
            expect(page.locator(".st-key-examples")).to_be_visible(timeout=60_000)
            assert hub.downloads(FILE)[-1].range, "it went on where it was, not from the beginning"
            box = page.locator(".st-key-chat_send textarea")
            box.fill("Say hello in one short sentence.")
            box.press("Enter")
            expect(page.locator(".tk-assistant .tk-figures")).to_be_visible(timeout=90_000)
            expect(page.locator(".tk-assistant")).to_contain_text("by qwen2.5-0.5b")
