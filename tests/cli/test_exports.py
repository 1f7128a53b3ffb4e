"""What is written out: to a file that is never overwritten unasked, or to the screen."""

import json
import os
from pathlib import Path

import pytest

from twokeys.cli.exports import deliver, write_new_file
from twokeys.cli.output import Output
from twokeys.errors import BadFile, BadInput


def test_a_file_that_exists_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    write_new_file(file, b"first")
    with pytest.raises(BadInput):
        write_new_file(file, b"second")
    assert file.read_bytes() == b"first"
    write_new_file(file, b"second", force=True)
    assert file.read_bytes() == b"second"
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as caught:
        write_new_file(tmp_path / "nowhere" / "a.md", b"")
    assert "a.md" in caught.value.message("en")


def test_a_text_on_the_screen_is_as_it_is_and_within_json_for_scripts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(Output("en"), "茶\n".encode(), "md", None, force=False)
    assert capsys.readouterr().out == "茶\n"
    deliver(Output("en", as_json=True), "茶\n".encode(), "md", None, force=False)
    assert json.loads(capsys.readouterr().out) == {"format": "md", "text": "茶\n"}
    deliver(Output("en", as_json=True), b'{"a": 1}\n', "json", None, force=False)
    assert capsys.readouterr().out == '{"a": 1}\n'
    deliver(Output("en", as_json=True), b"abc", "md", tmp_path / "a.md", force=False)
    said = json.loads(capsys.readouterr().out)
    assert said == {"path": str(tmp_path / "a.md"), "format": "md", "bytes": 3}
