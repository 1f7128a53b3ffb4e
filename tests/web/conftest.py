"""Fixtures: a server process of its own with the demo page, and Chromium to look at it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from demo_server import Demo, read_until_ready, wait_healthy

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def _demos(folder: Path) -> Iterator[Callable[..., Demo]]:
    """Start demo servers; before: a command that starts the program, keyword arguments: environment."""
    running: list[Demo] = []

    def start(host: str = "127.0.0.1", port: int = 0, before: Sequence[str] = (), **env: str) -> Demo:
        home = folder / f"demo{len(running)}"
        process = subprocess.Popen(
            [*before, sys.executable, str(HERE / "serve_demo.py"), str(home), str(port), host],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8", **env},
        )
        said = read_until_ready(process)
        topic = re.search(r"^conversation (\w+)", said, re.MULTILINE)
        address = re.search(r"((http://[^/\s]+)\S*)", said)
        assert topic and address, said
        demo = Demo(process, address[2], topic[1], home, address[1])
        running.append(demo)
        wait_healthy(demo.url)
        return demo

    yield start
    for demo in running:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()
        if demo.process.stdout:
            demo.process.stdout.close()


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start demo servers for one test."""
    with _demos(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Demo]]:
    """Start demo servers for a whole module."""
    with _demos(tmp_path_factory.mktemp("demos")) as start:
        yield start


@pytest.fixture
def demo(start_demo: Callable[..., Demo]) -> Demo:
    """A server for one test, whose conversation nobody has used."""
    return start_demo()


@pytest.fixture(scope="module")
def shared_demo(start_shared_demo: Callable[..., Demo]) -> Demo:
    """A server for the tests of a module that leave its conversation as it is."""
    return start_shared_demo()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return {**browser_type_launch_args, "executable_path": chromium, "args": CHROMIUM_FLAGS}
