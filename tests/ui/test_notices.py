"""What is told or asked at the next drawing: each notice once, an undo for a while, one dialog."""

import pytest
from tests.ui.tab import Tab

from twokeys.errors import EmptyMessage
from twokeys.ui import notices
from twokeys.ui.notices import ERROR_SECONDS, UNDO_SECONDS, Notice


def test_notices_are_told_in_their_order_and_once() -> None:
    tab = Tab()
    tab.do(lambda: notices.tell(Notice("first")))
    tab.do(lambda: notices.tell(Notice("second")))
    assert [notice.text for notice in tab.do(notices.take)] == ["first", "second"]
    assert tab.do(notices.take) == ()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_error_is_told_in_the_language_of_the_tab_with_its_next_step(language: str) -> None:
    tab, error = Tab(language), EmptyMessage()
    tab.do(lambda: notices.tell_error(error))
    assert tab.do(notices.take) == (Notice(error.message(language), error.hint(language), "error"),)


def test_an_error_stands_where_it_was_told_until_it_is_read_or_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("twokeys.ui.notices.time.time", lambda: now[0])
    tab, errors = Tab(), (Notice("It failed", "Try again", "error"),)
    tab.do(lambda: notices.keep_errors(errors, "chat a"))
    for _ in range(3):
        assert tab.do(lambda: notices.standing_errors("chat a")) == errors
    now[0] += ERROR_SECONDS
    assert tab.do(lambda: notices.standing_errors("chat a")) == ()
    tab.do(lambda: notices.keep_errors(errors, "chat a"))
    tab.do(notices.forget_errors)
    assert tab.do(lambda: notices.standing_errors("chat a")) == ()
    tab.do(lambda: notices.keep_errors(errors, "chat a"))
    assert tab.do(lambda: notices.standing_errors("chat b")) == ()
    assert tab.do(lambda: notices.standing_errors("chat a")) == (), "whoever goes leaves it behind"


def test_a_deletion_can_be_taken_back_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("twokeys.ui.notices.time.time", lambda: now[0])
    tab, undone = Tab(), list[str]()
    tab.do(lambda: notices.offer_undo("Deleted", lambda: undone.append("back")))
    undo = tab.do(notices.undo_on_offer)
    assert undo is not None and undo.text == "Deleted"
    undo.act()
    assert undone == ["back"]
    now[0] += UNDO_SECONDS
    assert tab.do(notices.undo_on_offer) is None
    now[0] = 1000.0
    assert tab.do(notices.undo_on_offer) is None, "it is gone for good"


def test_the_last_dialog_asked_for_is_open_until_it_is_closed() -> None:
    tab = Tab()
    tab.do(lambda: notices.ask("rename", id="a"))
    tab.do(lambda: notices.ask("delete", id="b"))
    question = tab.do(notices.question)
    assert question is not None and (question.name, question.params) == ("delete", {"id": "b"})
    tab.do(notices.close_question)
    assert tab.do(notices.question) is None
