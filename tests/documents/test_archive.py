"""Files that are ZIP archives: opened, or refused for a reason before anything is unpacked."""

import io
import zipfile

import pytest
from tests.documents.corpus import zipped

from twokeys.documents import archive
from twokeys.documents.archive import OLE_MARK, open_archive, read_member
from twokeys.documents.refusal import Refusal


def problem(data: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        open_archive(data)
    return caught.value.problem


def test_a_member_is_read() -> None:
    with open_archive(zipped({"a/b.txt": b"tea"})) as opened:
        assert read_member(opened, "a/b.txt") == b"tea"


def test_a_member_that_is_not_there_or_does_not_unpack_makes_the_file_a_broken_one() -> None:
    data = bytearray(zipped({"a": b"tea" * 1000}))
    at = data.find(b"PK\x01\x02")
    data[40 : at - 10] = b"\xff" * (at - 50)
    with open_archive(bytes(data)) as opened:
        for name in ("a", "none"):
            with pytest.raises(Refusal) as caught:
                read_member(opened, name)
            assert caught.value.problem == "broken"


def test_old_and_encrypted_office_files_are_told_apart() -> None:
    assert problem(OLE_MARK + b"WordDocument") == "old_office"
    assert problem(OLE_MARK + "EncryptedPackage".encode("utf-16-le")) == "encrypted"


def test_what_is_no_archive_is_broken() -> None:
    assert problem(b"PK\x03\x04 and no more") == "broken"
    assert problem(b"") == "broken"


def test_more_files_or_more_bytes_than_a_document_has_are_refused_unopened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = zipped({str(number): b"x" * 100 for number in range(5)})
    with monkeypatch.context() as patch:
        patch.setattr(archive, "MAX_MEMBERS", 4)
        assert problem(data) == "bomb"
    with monkeypatch.context() as patch:
        patch.setattr(archive, "MAX_UNPACKED_BYTES", 499)
        assert problem(data) == "bomb"
    with monkeypatch.context() as patch:
        patch.setattr(archive, "MAX_UNPACKED_BYTES", 500)
        open_archive(data).close()


def test_a_file_with_a_password_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a", b"tea")
    secret = bytearray(data.getvalue())
    secret[secret.find(b"PK\x01\x02") + 8] |= 1
    assert problem(bytes(secret)) == "encrypted"
