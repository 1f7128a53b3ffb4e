"""Searching on the conversations page: filters, and the branch that holds what was found."""

from collections.abc import Callable

from tests.ui.conftest import Browser, finish

from twokeys.services import Services

Open = Callable[..., Browser]


def test_a_hit_in_a_hidden_branch_opens_that_branch(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.say("Tell me about zirconium")
    finish(services, tab.conversation)
    first = services.conversations.messages(tab.conversation)[0]
    services.answers.edit(first.id, "Tell me about cobalt")
    finish(services, tab.conversation)
    page = open_tab("conversations")
    page.at.text_input(key="conversations_search").set_value("zirconium").run()
    page.check()
    hits = services.conversations.search("zirconium")
    number = next(n for n, hit in enumerate(hits) if hit.message_id == first.id)
    page.click(f"hit_{number}")
    shown = [message.content for message in services.conversations.messages(tab.conversation)]
    assert shown[0] == "Tell me about zirconium"


def test_a_search_is_narrowed_by_date_and_model(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.say("Tell me about zirconium")
    finish(services, tab.conversation)
    page = open_tab("conversations")
    page.at.text_input(key="conversations_search").set_value("zirconium").run()
    page.check()
    assert page.at.get("button") and any(button.key == "hit_0" for button in page.at.button)
    (model,) = services.repository.models_used()
    page.at.selectbox(key="search_model").set_value(model).run()
    page.check()
    assert any(button.key == "hit_0" for button in page.at.button)
    with services.repository._db.write() as db:
        db.execute("UPDATE messages SET created_at = 1")
        db.execute("UPDATE conversations SET created_at = 1, updated_at = 1")
    page.at.selectbox(key="search_days").set_value(7).run()
    page.check()
    assert not any(str(button.key).startswith("hit_") for button in page.at.button)
