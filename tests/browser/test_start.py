"""What the browser loads for the first page: all at once, and nothing that it finds out about later."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import App, rest, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RECORDING = ("wavesurfer.", "record.")
"""Streamlit loads these for the message box once it stands; nobody waits for them."""


@pytest.fixture(params=["", "/team"], ids=["at the root", "below a path"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(tmp_path, command=(server, str(tmp_path)), SCRIPTED_BASE=request.param) as running:
        yield running


def test_the_scripts_of_the_first_page_are_all_named_in_its_head(page: Page, app: App) -> None:
    scripts: dict[str, int] = {}
    page.on("response", lambda answer: scripts.update({answer.url: answer.status}))
    page.goto(f"{app.url}/")
    expect(page.locator(".st-key-chat_send textarea")).to_be_visible()
    rest(page)
    streamlits = {url.rpartition("/")[2]: status for url, status in scripts.items() if "/static/js/" in url}
    assert set(streamlits.values()) == {200}
    named = re.findall(r"static/js/([\w.-]+\.js)", page.request.get(f"{app.url}/").text())
    assert [name for name in streamlits if name not in named and not name.startswith(RECORDING)] == []
    assert len(named) == len(set(named))
    assert [name for name in named if name not in streamlits] == [], "nothing is loaded that is not there"
