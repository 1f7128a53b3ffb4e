"""Connections that begin a request and never end it: pages are still answered, and the log stays short."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

CHILD = Path(__file__).parent / "limited_server.py"
HALVES = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An app that may open few files, and where its log is."""
    folder = tmp_path_factory.mktemp("limited")
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            env={**os.environ, "TWOKEYS_HOME": str(folder / "home")},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"]), log
        finally:
            process.terminate()
            process.wait(20)
            if process.stdout:
                process.stdout.close()


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_pages_are_answered_while_300_half_requests_are_held_open(server: tuple[str, Path]) -> None:
    url, log = server
    held: list[socket.socket] = []
    try:
        for _ in range(HALVES):
            held.append(connect(url))
            held[-1].sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ")
        for _ in range(20):
            assert httpx.get(url, trust_env=False, timeout=20).status_code == 401
    finally:
        for half in held:
            half.close()
    assert len(log.read_bytes()) < 20_000
