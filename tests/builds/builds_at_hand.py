"""Builds for tests: archives with a scripted llama-server, and the catalogue entries that pin them."""

import hashlib
import io
import stat
import tarfile
import zipfile

from twokeys.builds.catalogue import Build, BuildNeeds

LISTING = "Available devices:\n  Vulkan0: Test Card (8192 MiB, 8000 MiB free)"
SERVER = f'#!/bin/sh\ncat <<"END"\n{LISTING}\nEND\n'
"""A program that lists a card and can do nothing else."""
WHEEL = "test_server-1-py3-none-any.whl"
PROGRAM = "test_server/bin/llama-server"


def wheel(server: str = SERVER, **more: bytes) -> bytes:
    """Return a wheel with a program and two equal libraries beside it, as wheels have for want of links."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"libggml.so": b"x" * 5000, "libggml.so.0": b"x" * 5000, **more}.items():
            archive.writestr(f"test_server/bin/{name}", content)
        info = zipfile.ZipInfo(PROGRAM)
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, server)
    return packed.getvalue()


def tarball(server: str = SERVER, folder: str = "llama-b7") -> bytes:
    """Return a release's archive, with a link among its libraries."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {"libggml.so.0": b"x" * 5000, "llama-server": server.encode()}.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(f"{folder}/libggml.so")
        link.type, link.linkname = tarfile.SYMTYPE, "libggml.so.0"
        archive.addfile(link)
    return packed.getvalue()


def packaged(content: bytes, name: str = "vulkan", backend: str = "vulkan") -> Build:
    """Return the entry that pins a wheel of the package index."""
    return Build(
        name,
        backend,  # type: ignore[arg-type]
        "package-index",
        "linux",
        "x86_64",
        version="1",
        package="test-server",
        file=WHEEL,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        program=PROGRAM,
    )


def released(pattern: str = r"llama-\w+-bin-ubuntu-vulkan-x64\.tar\.gz", extra: str = "") -> Build:
    """Return the entry of a build that comes with llama.cpp's release."""
    return Build(
        "vulkan-release",
        "vulkan",
        "release",
        "linux",
        "x86_64",
        asset=pattern,
        extra=extra,
        needs=BuildNeeds(),
    )
