"""The page as an app of its own: it can be installed, and says so itself when the server is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import App, running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ITS_WORKER = """async () => {
    const { scope } = await navigator.serviceWorker.ready
    const urls = async (name) => (await (await caches.open(name)).keys()).map((request) => request.url)
    return { scope, stored: (await Promise.all((await caches.keys()).map(urls))).flat() }
}"""


@pytest.fixture(params=["", "/team"], ids=["at the root", "below a path"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    server = str(Path(__file__).with_name("serve_scripted.py"))
    with running_app(tmp_path, command=(server, str(tmp_path)), SCRIPTED_BASE=request.param) as running:
        yield running


def test_the_page_can_be_installed_and_tells_when_nobody_answers(page: Page, app: App) -> None:
    page.goto(f"{app.url}/")
    box = page.locator(".st-key-chat_send textarea")
    expect(box).to_be_visible()
    browser = page.context.new_cdp_session(page)
    errors = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors] == ["in-incognito"], "nothing but the window of the test"
    manifest = browser.send("Page.getAppManifest")
    assert manifest["url"] == f"{app.url}/twokeys/app.webmanifest"
    assert manifest["errors"] == []
    assert manifest["manifest"]["startUrl"] == manifest["manifest"]["scope"] == f"{app.url}/"

    worker = page.evaluate(ITS_WORKER)
    assert worker == {"scope": f"{app.url}/", "stored": [f"{app.url}/twokeys/offline"]}

    address = page.url
    app.process.terminate()
    app.process.wait(20)
    page.goto(address)
    expect(page.get_by_role("heading")).to_have_text("TwoKeys is not running")
    expect(page.locator("p[lang=zh-CN]")).to_contain_text("TwoKeys")
    assert page.locator("img").evaluate("(picture) => picture.naturalWidth") > 0
    expect(page.get_by_role("link", name="Try again")).to_have_attribute("href", "")
    assert page.url == address, "trying again asks for the same page"
