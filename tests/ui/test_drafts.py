"""What is typed and not sent stays with its conversation, over a reload and a change of it."""

import pytest
from tests.ui.tab import Tab

from twokeys.core.writer.draft_request import DraftRequest
from twokeys.services import Services
from twokeys.ui import drafts

BOX = "chat_send"


@pytest.fixture
def talk(services: Services) -> str:
    return services.conversations.new().id


def test_a_draft_comes_back_in_another_tab_and_not_in_another_conversation(
    services: Services, talk: str
) -> None:
    Tab().do(lambda: drafts.see(talk, "half a thought"))
    other = services.conversations.new().id
    tab = Tab()
    assert tab.do(lambda: drafts.to_show(BOX, talk)) == "half a thought"
    assert tab.do(lambda: drafts.to_show(BOX, other)) == ""
    assert tab.do(lambda: drafts.to_show(BOX, other)) is None, "it is left as a person makes it"
    assert tab.do(lambda: drafts.to_show(BOX, talk)) == "half a thought"


def test_an_emptied_box_leaves_nothing_behind(services: Services, talk: str) -> None:
    tab = Tab()
    tab.do(lambda: drafts.see(talk, "text"))
    tab.do(lambda: drafts.see(talk, ""))
    assert tab.do(lambda: drafts.seen(talk)) == ""
    assert services.repository.get_setting(drafts.DRAFT_SETTING + talk) is None


def test_a_text_put_back_is_shown_once_and_wins_over_the_draft(talk: str, services: Services) -> None:
    tab = Tab()
    tab.do(lambda: drafts.see(talk, "the draft"))
    tab.do(lambda: drafts.put_back("to be edited"))
    assert tab.do(lambda: drafts.to_show(BOX, talk)) == "to be edited"
    shown = tab.do(drafts.shown)
    assert shown is not None and shown.text == "to be edited"


def test_a_request_that_became_a_project_is_needed_nowhere_any_longer(talk: str, services: Services) -> None:
    tab, request = Tab(), DraftRequest("A report on tea of 3000 words", "en")
    tab.do(lambda: drafts.to_show(BOX, talk))
    tab.do(lambda: drafts.see(talk, "Write a report on tea"))
    tab.do(lambda: drafts.bring_to_writer(request))
    assert tab.do(drafts.draft_request) == request
    tab.do(drafts.drop_draft_request)
    assert tab.do(drafts.draft_request) is None
    assert tab.do(lambda: drafts.seen(talk)) == ""


def test_without_a_request_the_message_box_is_left_alone(talk: str, services: Services) -> None:
    tab = Tab()
    tab.do(lambda: drafts.to_show(BOX, talk))
    tab.do(lambda: drafts.see(talk, "mine"))
    tab.do(drafts.drop_draft_request)
    assert tab.do(lambda: drafts.seen(talk)) == "mine"
