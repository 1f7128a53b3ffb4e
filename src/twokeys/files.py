"""Files written for a person: whole or not at all, so that an older one is never lost on the way.

The new text is written beside the file and takes its place when all of it is on the disk.
"""

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that its owner alone can read. A link is followed; what is no file is written to as it is.

    Raises FileExistsError when it is there and `replace` is False, OSError when it cannot be written;
    nothing has changed then.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        if not replace:
            raise FileExistsError(target)
        target.write_bytes(data)
        return
    beside = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            beside.replace(target)
        else:
            _place_new(beside, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def size_of(path: Path) -> int:
    """Return a file's size in bytes, 0 where there is none: another program may take it away."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _place_new(beside: Path, target: Path) -> None:
    """Give a file its name unless that is taken."""
    try:
        target.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: between the look and the renaming another may come.
        if target.exists():
            raise FileExistsError(target) from None
        beside.replace(target)
