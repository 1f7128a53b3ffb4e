"""A running demo server, as the tests see it."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")


@dataclass
class Demo:
    """A running demo server. `topic` is the id of its empty conversation, `opens` the address it printed."""

    process: "subprocess.Popen[str]"
    url: str
    topic: str
    home: Path
    opens: str

    def page(self, **query: str) -> str:
        pairs = "&".join(f"{name}={value}" for name, value in {"c": self.topic, **query}.items())
        return f"{self.url}/?{pairs}"

    def stop(self) -> None:
        """Send SIGTERM and wait until the process left; raises TimeoutExpired when it hangs."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


def run_scene(scene: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: Playwright keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, scene).result()


def read_until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "http://" in line:
            return said
    raise AssertionError(f"the server ended with {process.wait()}: {said}")


def wait_healthy(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/_stcore/health", trust_env=False).text == "ok":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not become healthy")
