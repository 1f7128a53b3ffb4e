"""Archives of builds (zip, wheel, tar.gz) unpacked into a folder, whole or not at all.

Nothing is written outside the folder, and files of equal content, as wheels have for want of links, take the
place of one. Fetches nothing and runs nothing.
"""

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from twokeys.builds.releases import refused
from twokeys.models import download

PROGRAMS = ("llama-server", "llama-server.exe")


def unpack(archives: Sequence[Path], folder: Path, name: str) -> None:
    """Unpack archives over each other into `folder`, which appears only when all of it is there.

    name: of the build, for errors. Raises DownloadFailed for an archive that is damaged or strays, DiskFull.
    """
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(mode=0o700, parents=True)
        for archive in archives:
            if zipfile.is_zipfile(archive):
                _unzip(archive, beside)
            else:
                with tarfile.open(archive) as packed:
                    packed.extractall(beside, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise refused(name, "archive", detail=str(error)) from error
    except OSError as error:
        raise download.disk_error(error, existing(folder), folder, 0) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def find_program(folder: Path, named: str = "") -> Path | None:
    """Return the llama-server in a folder: where it is said to be, else the first of that name."""
    if named:
        return folder / named if (folder / named).is_file() else None
    programs = sorted(path for name in PROGRAMS for path in folder.rglob(name) if path.is_file())
    return programs[0] if programs else None


def unpacked_bytes(folder: Path) -> int:
    """Return what a folder takes on the disk; files that are one count once."""
    seen: dict[int, int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            facts = path.stat()
            seen[facts.st_ino or hash(path)] = facts.st_size
    return sum(seen.values())


def _unzip(archive: Path, folder: Path) -> None:
    same: dict[tuple[int, int], Path] = {}
    root = folder.resolve()
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            target = (root / member.filename).resolve()
            if not target.is_relative_to(root):
                raise zipfile.BadZipFile(member.filename)
            if member.is_dir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            twin = same.get((member.CRC, member.file_size))
            if twin is not None and _linked(target, twin):
                continue
            with packed.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            mode = member.external_attr >> 16
            if os.name == "posix" and stat.S_IXUSR & mode:
                target.chmod(0o755)
            same[(member.CRC, member.file_size)] = target


def _linked(target: Path, twin: Path) -> bool:
    """Make `target` another name of `twin`; False where file systems cannot."""
    try:
        target.hardlink_to(twin)
    except OSError:
        return False
    return True


def existing(folder: Path) -> Path:
    return next(parent for parent in folder.parents if parent.is_dir())
