"""The API's card on the settings page: keys are made, shown once and taken back."""

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
    page = open_tab("settings", language)
    assert translate("api.card.none", language) in page.text()
    page.at.text_input(key="api_new_name").set_value("editor")
    page.click("api_add")
    shown = [code.value for code in page.at.code if code.value.startswith("tk-")]
    assert len(shown) == 1
    assert api.keys.check(shown[0]) is not None
    again = open_tab("settings", language)
    assert not [code for code in again.at.code if code.value.startswith("tk-")]
    again.click("api_revoke_editor")
    assert api.keys.list() == []
    assert api.keys.check(shown[0]) is None


def test_without_an_api_in_this_process_there_is_no_card(open_tab: Open) -> None:
    assert translate("api.card.lead", "en") not in open_tab("settings").text()
