"""The sign that an app of this data folder is up: given by the first, gone with it."""

from pathlib import Path

import pytest

from twokeys.cli.running import Presence, RunningApp

URL = "http://127.0.0.1:8765"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_the_first_app_is_found_and_the_second_does_not_take_its_place(run_dir: Path) -> None:
    first, second = Presence(run_dir), Presence(run_dir)
    assert second.other() is None
    first.give(URL)
    assert second.other() == RunningApp(URL)
    second.give("http://127.0.0.1:9")
    second.end()
    assert Presence(run_dir).other() == RunningApp(URL)
    first.end()
    assert Presence(run_dir).other() is None and not (run_dir / "ui.json").exists()


def test_a_note_left_by_an_app_that_was_killed_says_nothing(run_dir: Path) -> None:
    (run_dir / "ui.json").write_text('{"url": "http://127.0.0.1:1"}', encoding="utf-8")
    assert Presence(run_dir).other() is None


@pytest.mark.parametrize("note", ["", "[]", "{}", "no json", "null"])
def test_a_note_that_cannot_be_read_is_none(run_dir: Path, note: str) -> None:
    first = Presence(run_dir)
    first.give(URL)
    (run_dir / "ui.json").write_text(note, encoding="utf-8")
    assert Presence(run_dir).other() is None
    first.end()
