"""All conversations leave the browser as JSON and as Markdown."""

import io
import zipfile
from collections.abc import Callable

from tests.ui.conftest import ANSWER, Browser, finish

from twokeys.services import Services


def test_all_conversations_can_be_exported_as_json_and_as_markdown(
    open_tab: Callable[..., Browser], services: Services
) -> None:
    tab = open_tab()
    tab.say("Tell me about tuples")
    finish(services, tab.conversation)
    page = open_tab("conversations", c=tab.conversation)
    keys = {button.key for button in page.at.get("download_button")}
    assert {"export_all", "export_all_markdown"} <= keys
    with zipfile.ZipFile(io.BytesIO(services.exchange.export_markdown_zip("en"))) as archive:
        (name,) = archive.namelist()
        assert name.endswith(".md") and ANSWER in archive.read(name).decode()
