"""A running demo server, as the tests see it."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass
class Demo:
    """A running demo server. `topic` is the id of its empty conversation."""

    process: "subprocess.Popen[str]"
    url: str
    topic: str
    home: Path

    def page(self, **query: str) -> str:
        pairs = "&".join(f"{name}={value}" for name, value in {"c": self.topic, **query}.items())
        return f"{self.url}/?{pairs}"

    def stop(self) -> float:
        """Send SIGTERM and return how many seconds the process took to leave."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - began


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
