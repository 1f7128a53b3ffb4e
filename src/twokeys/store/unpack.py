"""The files that may hold conversations: one as it is, or those in a zip archive, never unpacked whole.

A small archive can unpack to any size, so what comes out is counted while it is read.
"""

import contextlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from twokeys.errors import BadFile
from twokeys.store.parcel import bad_file

MAX_UNPACKED_BYTES = 1024 * 2**20
UNSUSPECTED_BYTES = 16 * 2**20
MOST_TIMES = 100
"""Beyond the first megabytes nothing unpacks to more than so many times its archive; text does to 3–10."""

_LIKELY = re.compile(r"(^|/)(conversations|twokeys|chat)[^/]*\.jsonl?$", re.IGNORECASE)
_POSSIBLE = re.compile(r"(^|/)[^/]+\.jsonl?$", re.IGNORECASE)
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the zip reader raises for broken, encrypted and lying archives."""


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A file that is read from its beginning each time it is opened. certain: it must hold conversations."""

    name: str
    data: bytes
    member: zipfile.ZipInfo | None = None
    certain: bool = True

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Give its bytes. Raises BadFile, while reading too."""
        if self.member is None:
            yield io.BytesIO(self.data)
            return
        with contextlib.ExitStack() as opened:
            with _translated():
                archive = opened.enter_context(zipfile.ZipFile(io.BytesIO(self.data)))
                packed = opened.enter_context(archive.open(self.member))
            yield cast("BinaryIO", _Counted(cast("BinaryIO", packed), limit_of(len(self.data))))


def sources(data: bytes, name: str) -> list[ImportSource]:
    """Return the files to read: the one given, or the members of a zip archive. Raises BadFile."""
    if not data.startswith(b"PK"):
        return [ImportSource(name, data)]
    with _translated(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.filename)
    likely = [member for member in members if _LIKELY.search(member.filename)]
    chosen = likely or [member for member in members if _POSSIBLE.search(member.filename)]
    if not chosen:
        raise bad_file("no_conversations")
    return [ImportSource(member.filename, data, member, certain=bool(likely)) for member in chosen]


def limit_of(packed_bytes: int) -> int:
    """Return how many bytes an archive of this size may unpack to."""
    return min(MAX_UNPACKED_BYTES, max(UNSUSPECTED_BYTES, MOST_TIMES * packed_bytes))


class _Counted:
    """Reads on until more came out than can be."""

    def __init__(self, packed: BinaryIO, limit: int) -> None:
        self._packed = packed
        self._limit = limit
        self._read = 0

    def read(self, size: int) -> bytes:
        with _translated():
            data = self._packed.read(size)
        self._read += len(data)
        if self._read > self._limit:
            raise bad_file("too_large", limit=self._limit // 2**20)
        return data


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BadFile:
        raise
    except _FAULTS as exc:
        raise bad_file("broken_zip") from exc
