"""The API's page: keys are made, shown once and taken back; pages are named; requests are listed."""

from collections.abc import Callable, Iterator

import pytest
from tests.ui.conftest import Browser

from twokeys.api.routes import ApiRoutes
from twokeys.api.runtime import set_api
from twokeys.api.server import make_api
from twokeys.i18n import translate
from twokeys.services import Services

Open = Callable[..., Browser]


@pytest.fixture
def api(services: Services) -> Iterator[ApiRoutes]:
    made = make_api(services)
    set_api(made)
    yield made
    set_api(None)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_key_is_made_shown_once_and_taken_back(open_tab: Open, api: ApiRoutes, language: str) -> None:
    page = open_tab("api", language)
    assert translate("api.page.none", language) in page.text()
    page.at.text_input(key="api_new_name").set_value("editor")
    page.click("api_add")
    shown = [code.value for code in page.at.code if code.value.startswith("tk-")]
    assert len(shown) == 1
    assert api.keys.check(shown[0]) is not None
    again = open_tab("api", language)
    assert not [code for code in again.at.code if code.value.startswith("tk-")]
    again.click("api_revoke_editor")
    assert api.keys.list() == []
    assert api.keys.check(shown[0]) is None


def test_examples_hold_the_new_key_and_the_address(open_tab: Open, api: ApiRoutes) -> None:
    page = open_tab("api", "en")
    page.at.text_input(key="api_new_name").set_value("editor")
    page.click("api_add")
    [key] = [code.value for code in page.at.code if code.value.startswith("tk-")]
    assert any("curl" in code.value and key in code.value and "/v1/" in code.value for code in page.at.code)


def test_requests_are_listed_with_their_program(open_tab: Open, api: ApiRoutes) -> None:
    assert translate("api.page.no_requests", "en") in open_tab("api", "en").text()
    api.requests.end(api.requests.begin("my <b>editor", "twokeys/precise"), "done")
    text = open_tab("api", "en").text()
    assert "my &lt;b&gt;editor" in text
    assert translate("api.state.done", "en") in text


def test_a_web_page_is_let_in_by_its_origin_and_a_wrong_one_is_told(open_tab: Open, api: ApiRoutes) -> None:
    page = open_tab("api", "en")
    page.at.text_area(key="api_origins_text").set_value("https://Chat.example.org/\n\n")
    page.click("api_origins_save")
    assert api.origins.allow("https://chat.example.org")
    again = open_tab("api", "en")
    again.at.text_area(key="api_origins_text").set_value("*")
    again.click("api_origins_save")
    assert translate("api.origin.bad", "en", origin="*") in again.text()
    assert api.origins.allow("https://chat.example.org")


def test_without_an_api_in_this_process_the_page_says_so(open_tab: Open) -> None:
    assert translate("api.page.not_served", "en") in open_tab("api", "en").text()
