"""One run of the command: which options win, what it opens, and that it closes it again."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import typer

from twokeys.cli.invocation import Globals, Invocation
from twokeys.cli.output import Output
from twokeys.errors import StoreError, StoreNewer
from twokeys.store.locks import FileLock
from twokeys.types import Conversation


def context(before: Globals) -> typer.Context:
    """What the parser hands a command: only its root counts here."""
    root = SimpleNamespace(obj=before)
    return cast(typer.Context, SimpleNamespace(find_root=lambda: root))


def call(language: str = "en") -> Invocation:
    return Invocation(Output(language), None)


def test_what_stands_after_the_command_wins_over_what_stands_before_it() -> None:
    before = context(Globals("zh", model="before", as_json=True))
    assert Invocation.of(before, "after", False).model == "after"
    joined = Invocation.of(before, None, False)
    assert (joined.model, joined.out.language, joined.out.as_json) == ("before", "zh", True)
    assert Invocation.of(context(Globals("en")), None, True).out.as_json


def test_reading_the_surroundings_creates_nothing(home: Path) -> None:
    config = Invocation(Output("en"), "some-model").config()
    assert config.model == "some-model"
    assert list(home.iterdir()) == []


def test_the_store_is_closed_after_a_command_that_failed(home: Path) -> None:
    with pytest.raises(RuntimeError), call().repository() as repository:
        repository.create_conversation(Conversation("c", "Tea", 1.0, 1.0))
        raise RuntimeError
    with pytest.raises(StoreError):
        repository.get_conversation("c")
    with call().repository() as again:
        assert again.get_conversation("c").title == "Tea"


def test_a_folder_that_cannot_be_written_is_read_with_a_remark(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with call().repository() as repository:
        repository.create_conversation(Conversation("c", "Tea", 1.0, 1.0))

    def refuse(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr("twokeys.cli.invocation.prepare_home", refuse)  # root may write anywhere
    for language in ("zh", "en"):
        with call(language).reading() as reading:
            assert reading.get_conversation("c").title == "Tea"
        assert capsys.readouterr().err.strip()


def test_a_store_of_a_newer_version_is_not_even_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreNewer(found=99, known=1)

    monkeypatch.setattr("twokeys.cli.invocation.prepare_home", refuse)
    with pytest.raises(StoreNewer), call().reading():
        pytest.fail("it was opened")


def test_services_leave_recovery_to_the_command_and_are_closed_at_the_end(home: Path) -> None:
    with call().services() as services:
        talk = services.conversations.new().id
        run_dir = services.config.run_dir
    with pytest.raises(StoreError):
        services.repository.get_conversation(talk)
    assert not FileLock(run_dir / "owner.lock").held_elsewhere()
