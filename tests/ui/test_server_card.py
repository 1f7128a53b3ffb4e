"""The card of the server that answers: its key is set, never shown, and can be forgotten."""

import stat
from collections.abc import Callable

import pytest
from tests.ui.conftest import Browser

from twokeys.engine_source import server_book
from twokeys.i18n import translate
from twokeys.services import Services

Open = Callable[..., Browser]
URL = "http://127.0.0.1:9/v1"
KEY = "sk-for-this-test"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_server_s_key_and_slots_are_set_and_never_shown(
    services: Services, open_tab: Open, language: str
) -> None:
    services.repository.set_setting("model", URL)
    page = open_tab("settings", language)
    assert translate("settings.server.lead", language) in page.text()
    page.at.text_input(key="server_key_0").set_value(KEY)
    page.at.number_input(key="server_slots_0").set_value(4)
    page.click("server_save_0")
    access = server_book(services.config).of(URL)
    assert (access.key, access.slots) == (KEY, 4)
    file = services.config.servers_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = open_tab("settings", language)
    assert KEY not in again.text()
    assert again.at.text_input(key="server_key_0").value == ""
    assert again.at.text_input(key="server_key_0").placeholder == translate("settings.server.kept", language)
    again.click("server_save_0")
    assert server_book(services.config).of(URL).key == KEY, "left empty, nothing changes"
    again.at.checkbox(key="server_forget_0").set_value(True)
    again.click("server_save_0")
    assert server_book(services.config).of(URL).key is None
    assert KEY not in file.read_text()


def test_a_key_that_cannot_be_sent_is_refused(services: Services, open_tab: Open) -> None:
    services.repository.set_setting("model", URL)
    page = open_tab("settings")
    page.at.text_input(key="server_key_0").set_value("密钥")
    page.click("server_save_0")
    assert server_book(services.config).of(URL).key is None


def test_without_a_server_there_is_no_card(open_tab: Open) -> None:
    assert translate("settings.server.lead", "en") not in open_tab("settings").text()
