"""Where a tab is: its conversation, the place within it, its comparison, and the page it is sent to."""

import streamlit as st
from tests.ui.tab import Tab

from twokeys.core.conversations import Conversations
from twokeys.services import Services
from twokeys.types import Message
from twokeys.ui import navigation, notices
from twokeys.ui.navigation import PAGE_TURNS, Destination


def talked(services: Services, turns: int) -> tuple[str, list[str]]:
    """Store a conversation of so many messages; return its id and theirs."""
    talk = services.conversations.new().id
    ids: list[str] = []
    for number in range(turns):
        role = "assistant" if number % 2 else "user"
        parent = ids[-1] if ids else None
        message = Message(f"{talk}-{number:04}", talk, parent, role, f"text {number}", float(number))
        ids.append(services.repository.add_message(message).id)
    return talk, ids


def test_a_tab_without_an_address_gets_an_empty_conversation_and_keeps_it(services: Services) -> None:
    tab = Tab()
    first = tab.do(navigation.conversation).id
    assert tab.do(navigation.address) == {"c": first}
    assert tab.do(navigation.conversation).id == first
    assert tab.do(navigation.start_conversation).id == first, "an untouched one is as good as a new one"


def test_a_conversation_that_is_not_there_or_was_deleted_is_named_and_another_opened(
    services: Services,
) -> None:
    talk, _ = talked(services, 1)
    services.conversations.delete(talk)
    for wanted, kinds in (("nowhere", ["error"]), (talk, [])):
        tab = Tab(c=wanted)
        assert tab.do(navigation.conversation).id != wanted
        assert [notice.kind for notice in tab.do(notices.take)] == kinds


def test_a_message_far_above_is_drawn_when_a_search_leads_to_it(services: Services) -> None:
    talk, ids = talked(services, 50)
    tab = Tab()
    tab.do(lambda: navigation.open_message(talk, ids[5], ("text",)))
    assert tab.do(navigation.drawn_turns) == 46
    target = tab.do(lambda: navigation.search_target(talk))
    assert target is not None and (target.message_id, target.words) == (ids[5], ("text",))
    assert tab.do(lambda: navigation.search_target("another")) is None
    tab.do(lambda: navigation.open_message(talk, ids[49], ("text",)))
    assert tab.do(navigation.drawn_turns) == PAGE_TURNS


def test_a_message_in_another_version_is_opened_in_its_branch(services: Services) -> None:
    talk, ids = talked(services, 2)
    other = services.repository.add_message(Message("other", talk, ids[0], "assistant", "else", 9.0)).id
    conversations: Conversations = services.conversations
    conversations.select_version(ids[1])
    Tab().do(lambda: navigation.open_message(talk, other, ()))
    assert [message.id for message in conversations.messages(talk)] == [ids[0], other]


def test_opening_the_same_conversation_again_is_another_place_and_draws_its_end(services: Services) -> None:
    talk, _ = talked(services, 2)
    tab = Tab()
    tab.do(lambda: navigation.open_conversation(talk))
    before = tab.do(navigation.place)
    tab.do(navigation.draw_more_turns)
    assert tab.do(navigation.drawn_turns) == 2 * PAGE_TURNS
    tab.do(lambda: navigation.open_conversation(talk))
    assert tab.do(navigation.place) != before
    assert tab.do(navigation.drawn_turns) == PAGE_TURNS


def test_leaving_takes_only_the_named_conversation_out_of_the_address() -> None:
    tab = Tab(c="here")
    tab.do(lambda: navigation.leave_conversation("elsewhere"))
    assert tab.do(navigation.address) == {"c": "here"}
    tab.do(lambda: navigation.leave_conversation("here"))
    assert tab.do(navigation.address) == {}


def test_links_carry_the_conversation_and_the_plain_page_and_nothing_else() -> None:
    tab = Tab(c="here", plain="1", cmp="x")
    assert tab.do(navigation.address) == {"c": "here", "plain": "1"}
    assert tab.do(navigation.plain) and not Tab().do(navigation.plain)


def test_a_callback_sends_the_tab_to_a_page_once() -> None:
    tab = Tab()
    tab.do(lambda: navigation.go_to("lab", study="a"))
    assert tab.do(navigation.take_destination) == Destination("lab", {"study": "a"})
    assert tab.do(navigation.take_destination) is None


def test_another_comparison_drops_what_the_address_had_of_the_one_before() -> None:
    tab = Tab(cmp="a", view="b", **{"from": "c"})
    tab.do(lambda: navigation.open_comparison("d"))
    assert tab.do(st.query_params.to_dict) == {"cmp": "d"}
    tab.do(lambda: navigation.open_comparison(None))
    assert tab.do(navigation.comparison_id) is None
