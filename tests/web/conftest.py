"""Fixtures: a server process of its own with the demo page, and Chromium to look at it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start demo servers; keyword arguments are environment variables."""
    running: list[Demo] = []

    def start(host: str = "127.0.0.1", port: int = 0, **env: str) -> Demo:
        home = tmp_path / f"demo{len(running)}"
        process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_demo.py"), str(home), str(port), host],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8", **env},
        )
        said = read_until_ready(process)
        topic = re.search(r"^conversation (\w+)", said, re.MULTILINE)
        address = re.search(r"(http://\S+)", said)
        assert topic and address, said
        demo = Demo(process, address[1].replace("localhost", "127.0.0.1"), topic[1], home)
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
def demo(start_demo: Callable[..., Demo]) -> Demo:
    return start_demo()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return {**browser_type_launch_args, "executable_path": chromium, "args": CHROMIUM_FLAGS}
