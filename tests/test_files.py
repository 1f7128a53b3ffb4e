import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from twokeys.files import write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and limits belong to POSIX")


TIGHT = """
import resource, sys
from pathlib import Path
from twokeys.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_whole(Path(sys.argv[1]), b"n" * 20_000, replace=bool(sys.argv[2]))
except OSError:
    sys.exit(7)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_a_new_file_is_its_owners_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.md", b"new", replace=False)
    assert (tmp_path / "a.md").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o600
    assert names(tmp_path) == ["a.md"]


def test_an_older_file_is_replaced_only_when_told_so(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_whole(file, b"new", replace=False)
    assert file.read_bytes() == b"old"
    write_whole(file, b"new")
    assert file.read_bytes() == b"new" and names(tmp_path) == ["a.md"]


@pytest.mark.parametrize("there", [True, False])
def test_without_room_the_older_file_stays_whole_and_no_piece_of_the_new_one(
    tmp_path: Path, there: bool
) -> None:
    file = tmp_path / "a.md"
    if there:
        file.write_bytes(b"old" * 1000)
    ended = subprocess.run([sys.executable, "-c", TIGHT, str(file), "replace" * there], check=False)
    assert ended.returncode == 7
    assert names(tmp_path) == (["a.md"] if there else [])
    assert not there or file.read_bytes() == b"old" * 1000


def test_a_link_goes_on_pointing_to_the_file_that_was_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file = tmp_path / "real" / "a.md"
    file.write_bytes(b"old")
    link = tmp_path / "link.md"
    link.symlink_to(file)
    write_whole(link, b"new")
    assert link.is_symlink() and file.read_bytes() == b"new"


def test_a_pipe_or_a_device_is_written_to(tmp_path: Path) -> None:
    write_whole(Path(os.devnull), b"new")
    assert not Path(os.devnull).is_file()
