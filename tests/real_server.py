"""A real llama-server for tests, started as somebody else would start it: with its own defaults."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from twokeys.engines.openai_dialect import Dialect, OpenAiDialect
from twokeys.engines.remote import RemoteEngine
from twokeys.engines.worker import free_port

START_S = 60.0


@contextmanager
def running_server(
    binary: str, model: Path, *flags: str, port: int | None = None, key: str | None = None
) -> Iterator[str]:
    """Run a llama-server and yield its address once it is ready."""
    chosen = port or free_port()
    command = [binary, "--model", str(model), "--alias", "smollm2", "--port", str(chosen), "--threads", "1"]
    environment = {"LLAMA_API_KEY": key} if key else {}
    server = subprocess.Popen(
        [*command, *flags], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(f"http://127.0.0.1:{chosen}/health", server)
        yield f"http://127.0.0.1:{chosen}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def listener(url: str) -> int:
    """Return the id of the child process that listens at an address."""
    port = int(url.rpartition(":")[2])
    return next(
        child.pid
        for child in psutil.Process().children()
        if any(connection.laddr.port == port for connection in child.net_connections())
    )


def _wait_until_ready(health: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"llama-server ended with {server.returncode}"
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("llama-server was not ready in time")


class PlainEngine(RemoteEngine):
    """Speaks the plain OpenAI dialect to any server, whatever it is."""

    async def _detect(self) -> Dialect:
        dialect = OpenAiDialect(self._server, self._model or "smollm2")
        self._info = await dialect.describe()
        return dialect
