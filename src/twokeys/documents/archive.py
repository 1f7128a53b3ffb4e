"""Files that are ZIP archives: refused before anything is unpacked that would not end well."""

import io
import zipfile
import zlib

from twokeys.documents.limits import MAX_MEMBERS, MAX_UNPACKED_BYTES
from twokeys.documents.refusal import Refusal

_BROKEN = (KeyError, ValueError, OSError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a member raises where the archive is not whole."""

OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How an Office file begins that is encrypted, or of a format before 2007."""


def open_archive(data: bytes) -> zipfile.ZipFile:
    """Return the archive. Raises Refusal: "encrypted", "bomb" or "broken"."""
    if data.startswith(OLE_MARK):
        encrypted = "EncryptedPackage".encode("utf-16-le") in data
        raise Refusal("encrypted" if encrypted else "old_office")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as exc:
        raise Refusal("broken", reason=str(exc)) from exc
    members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise Refusal("encrypted")
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise Refusal("bomb")
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of the archive, no longer than the archive says it is. Raises Refusal "broken"."""
    try:
        with archive.open(name) as member:
            return member.read(archive.getinfo(name).file_size)
    except _BROKEN as exc:
        raise Refusal("broken", reason=str(exc)) from exc
