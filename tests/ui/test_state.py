"""What a tab remembers between runs: values with a default, and widgets that are made anew."""

import streamlit as st
from tests.ui.tab import Tab

from twokeys.ui import state
from twokeys.ui.state import TabValue

NAMES = TabValue[list[str]]("names_of_a_test", [])


def test_a_value_is_its_default_until_it_is_set_and_again_once_it_is_taken() -> None:
    tab = Tab()
    assert tab.do(NAMES.get) == []
    tab.do(lambda: NAMES.set(["tea"]))
    assert tab.do(NAMES.get) == ["tea"]
    assert tab.do(NAMES.take) == ["tea"]
    assert tab.do(NAMES.get) == []


def test_a_default_that_was_changed_in_place_is_no_other_tabs() -> None:
    first, second = Tab(), Tab()
    first.do(lambda: NAMES.get().append("spilled"))
    assert first.do(NAMES.get) == [] and second.do(NAMES.get) == []
    first.do(lambda: NAMES.set(["own"]))
    assert second.do(NAMES.get) == []


def test_a_widget_begins_with_its_default_and_keeps_what_a_person_made_of_it() -> None:
    tab = Tab()
    tab.do(lambda: state.show_default("cup", 1))
    tab.do(lambda: state.put_value("cup", 2))
    tab.do(lambda: state.show_default("cup", 1))
    assert tab.do(lambda: state.value_of("cup")) == 2
    tab.do(lambda: state.show_value("cup", 3))
    assert tab.do(lambda: state.value_of("cup")) == 3
    assert tab.do(lambda: state.value_of("never drawn")) is None


def test_a_widget_in_a_popover_is_a_new_one_once_its_value_changed_elsewhere() -> None:
    def drawn(value: int) -> str:
        key = state.popover_key("cups", value)
        st.number_input("Cups", value=value, key=key)
        return key

    tab = Tab()
    first = tab.do(lambda: drawn(1))
    assert tab.do(lambda: drawn(1)) == first
    assert tab.do(lambda: drawn(2)) != first


def test_a_widget_in_a_popover_is_a_new_one_in_another_language() -> None:
    tab = Tab()
    before = tab.do(lambda: state.popover_key("cups", 1))
    tab.at.session_state["language"] = "zh"
    assert tab.do(lambda: state.popover_key("cups", 1)) != before == "cups"


def test_the_whole_page_is_drawn_anew_once() -> None:
    tab = Tab()
    tab.do(state.ask_redraw)
    assert [tab.do(state.take_redraw) for _ in range(2)] == [True, False]
