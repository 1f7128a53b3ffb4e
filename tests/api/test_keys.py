"""Keys are shown once, kept as digests in a file of their owner's, and seen by other processes at once."""

import stat
from pathlib import Path

import pytest

from twokeys.api.keys import ApiKeys
from twokeys.errors import BadFile, BadInput, NotFound


def test_a_key_is_kept_as_its_digest_in_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = ApiKeys(path).add("editor")
    assert made.key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ApiKeys(path).check(made.key) is not None
    assert ApiKeys(path).check(made.key + "x") is None
    assert ApiKeys(path).check("") is None


def test_another_process_change_is_seen(tmp_path: Path) -> None:
    here, there = ApiKeys(tmp_path / "keys.json"), ApiKeys(tmp_path / "keys.json")
    made = there.add("editor")
    assert here.check(made.key) is not None
    there.remove("editor")
    assert here.check(made.key) is None


def test_names_are_single_and_sensible(tmp_path: Path) -> None:
    keys = ApiKeys(tmp_path / "keys.json")
    keys.add("编辑器")
    for name in ("编辑器", "", "x" * 61, "a\nb"):
        with pytest.raises(BadInput):
            keys.add(name)
    with pytest.raises(NotFound):
        keys.remove("nobody")


def test_a_damaged_file_is_told_and_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(BadFile):
        ApiKeys(tmp_path / "keys.json").check("tk-x")
