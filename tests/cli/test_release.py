"""`twokeys release`: which conversation begins anew, and what is said of the memory."""

import pytest

from twokeys.cli.invocation import Invocation
from twokeys.cli.output import Output
from twokeys.cli.release import mark_cleared, release_sentence
from twokeys.errors import StoreError
from twokeys.types import Conversation, Message, ReleaseReport

GIB = 1 << 30


def talked(name: str, at: float) -> None:
    """Store a conversation with one message that was last talked in at this second."""
    with Invocation(Output("en"), None).repository() as repository:
        repository.create_conversation(Conversation(name, name, at, at))
        repository.add_message(Message(f"m-{name}", name, None, "user", "Tea?", at))


def resets(name: str) -> list[str]:
    with Invocation(Output("en"), None).repository() as repository:
        return [mark.after for mark in repository.get_conversation(name).resets]


def test_the_conversation_that_was_talked_in_last_begins_anew_and_no_other() -> None:
    talked("earlier", 100.0)
    talked("later", 200.0)
    mark_cleared(Invocation(Output("en"), None), since=50.0)
    assert resets("later") == ["m-later"] and resets("earlier") == []


def test_a_conversation_from_before_the_worker_ran_is_left_alone() -> None:
    talked("earlier", 100.0)
    with Invocation(Output("en"), None).repository() as repository:
        since = repository.get_conversation("earlier").updated_at + 1
    mark_cleared(Invocation(Output("en"), None), since)
    assert resets("earlier") == []


def test_an_empty_store_is_no_error() -> None:
    mark_cleared(Invocation(Output("en"), None), since=0.0)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_store_that_cannot_be_opened_is_named_and_stops_nothing(
    language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr("twokeys.cli.invocation.prepare_home", refuse)
    mark_cleared(Invocation(Output(language), None), since=0.0)
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_came_back_is_said_in_figures_and_of_no_worker_without(
    language: str,
) -> None:
    said = release_sentence(ReleaseReport(3 * GIB, GIB, 2 * GIB), Output(language))
    assert "3.0" in said and "2.0" in said
    assert not any(sign.isdigit() for sign in release_sentence(ReleaseReport(0, 0, 0), Output(language)))
