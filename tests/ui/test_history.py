"""The page of all conversations: filters, saved filters, several at once."""

from collections.abc import Callable

import pytest

from twokeys.errors import BadInput
from twokeys.services import Services
from twokeys.ui.history_filters import SavedFilter, stored

from .conftest import Browser

TITLES = ("Alpha", "Beta", "Gamma")


@pytest.fixture
def history(services: Services, open_tab: Callable[..., Browser]) -> Browser:
    for title in TITLES:
        made = services.conversations.new(title=title)
        services.conversations.pin(made.id)  # an empty conversation is not listed otherwise
        if title != "Gamma":
            services.conversations.tag(made.id, ["work"])
    return open_tab("conversations")


def titles(tab: Browser) -> set[str]:
    return {b.label for b in tab.at.button if str(b.key).startswith("list_open_")}


def ids(services: Services) -> dict[str, str]:
    return {c.title: c.id for c in services.conversations.latest() if c.title}


def test_a_saved_filter_is_applied_with_one_click_and_dropping_it_is_taken_back(
    history: Browser, services: Services
) -> None:
    tab = history
    tab.at.selectbox(key="search_tag").set_value("work").run()
    assert titles(tab) == {"Alpha", "Beta"}
    tab.at.text_input(key="filter_name").set_value("Work")
    tab.click("filter_save_button")
    assert stored() == [SavedFilter("Work", tag="work")]
    assert tab.at.session_state["filter_save"] is False, "what is done is closed"
    tab.at.selectbox(key="search_tag").set_value(None).run()
    assert titles(tab) == set(TITLES)
    tab.click("filter_apply_0")
    assert titles(tab) == {"Alpha", "Beta"}
    tab.click("filter_drop_0")
    assert stored() == []
    tab.click("undo")
    assert [saved.name for saved in stored()] == ["Work"]
    for name in ids(services).values():
        services.conversations.tag(name, [])  # the tag is gone: the filter lets everything through
    tab.click("filter_apply_0")
    assert titles(tab) == set(TITLES)


def test_several_are_archived_and_deleted_at_once_and_taken_back_at_once(
    history: Browser, services: Services
) -> None:
    tab, known = history, ids(services)
    tab.at.toggle(key="history_several").set_value(True).run()
    for title in ("Alpha", "Gamma"):
        tab.at.checkbox(key=f"history_box_{known[title]}").check()
    tab.at.run()
    tab.click("several_archive")
    assert titles(tab) == {"Beta"}
    assert set(ids(services)) == {"Beta"}
    tab.click("undo")
    assert titles(tab) == set(TITLES)
    tab.click("several_all")
    tab.click("several_delete")
    assert titles(tab) == set()
    tab.click("undo")
    assert titles(tab) == set(TITLES)


def test_tags_of_several_are_added_and_taken_off_and_others_stay(
    history: Browser, services: Services
) -> None:
    tab, known = history, ids(services)
    services.conversations.tag(known["Alpha"], ["work", "law"])
    tab.at.toggle(key="history_several").set_value(True).run()
    for title in ("Alpha", "Beta"):
        tab.at.checkbox(key=f"history_box_{known[title]}").check()
    tab.at.run()
    used = next(group for group in tab.at.button_group if str(group.key).startswith("several_tags_used"))
    assert used.value == ["work"]
    used.set_value([])
    tab.at.text_input(key="several_tags_new").set_value("law， new")
    tab.click("several_tags_save")
    tags = {c.title: c.tags for c in services.conversations.latest() if c.title}
    assert tags == {"Alpha": ("law", "new"), "Beta": ("law", "new"), "Gamma": ()}


def test_too_many_or_too_long_tags_are_refused(services: Services) -> None:
    made = services.conversations.new()
    for tags in (["x" * 41], [str(number) for number in range(21)]):
        with pytest.raises(BadInput):
            services.conversations.tag(made.id, tags)
    assert services.conversations.tag(made.id, [" a  b ", "a b", ""]).tags == ("a b",)
