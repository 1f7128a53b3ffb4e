"""A person meets too little memory: sees why, recovers with one button, and looks at the plan."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from twokeys.config import load_config, prepare_home
from twokeys.core.memory.overrides import Overrides
from twokeys.store.repository import Repository

from .conftest import App, Chat, place_model, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def app(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app whose person asked for more context than the memory limit holds."""
    home = tmp_path_factory.mktemp("home")
    place_model(smollm2, home)
    config = load_config({"TWOKEYS_HOME": str(home)})
    prepare_home(config)
    repository = Repository.open(config)
    decided = Overrides(context=8192, kv_type="f16", threads=1, limit_mib=310)
    repository.set_setting("memory.overrides", {smollm2.stem: decided.to_dict()})
    repository.close()
    with running_app(home) as running:
        yield running


def test_a_refused_start_is_told_with_numbers_and_one_button_goes_on(chat: Chat) -> None:
    chat.ask("Say hello in one short sentence.")
    banner = chat.page.locator(".tk-banner")
    expect(banner).to_contain_text("349 MiB")
    expect(banner).to_contain_text("310 MiB")
    banner.get_by_role("button", name="Recover and go on").click()
    expect(chat.page.locator(".tk-assistant .tk-figures")).to_contain_text("tok/s", timeout=120_000)
    expect(chat.page.locator(".tk-assistant")).to_contain_text("went on after recovery")
    expect(chat.page.locator(".st-key-keys_card output").nth(1)).to_contain_text("1536")


def test_the_bar_of_the_memory_page_follows_the_context(chat: Chat) -> None:
    page: Page = chat.page
    page.locator(".st-key-memory_open a").click()
    cache = page.locator(".st-key-card_plan .tk-legend span", has_text="KV cache")
    expect(cache).to_contain_text("MiB")
    before = cache.inner_text()
    slider = page.locator(".st-key-memory_context [role=slider], .st-key-memory_context input").first
    slider.press("ArrowLeft")
    expect(cache).not_to_have_text(before)
    expect(page.locator(".tk-verdict")).to_have_text(re.compile("fit", re.IGNORECASE))
    expect(page.locator(".tk-versus")).to_contain_text("+112 MiB")
