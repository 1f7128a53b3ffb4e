"""Processes of `twokeys` without the second that Python needs to load it: forked from one that has loaded it.

A command so run is a real process with its own environment, working folder, signals, standard streams and
exit code. Started once for each test process (`running_fork_server`); `python fork_server.py SOCKET` is it.
"""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

START_S = 60.0
USUAL = ("twokeys.services", "httpx", "httpcore", "h2", "pynvml")
"""What every command that answers loads."""


class ForkServer:
    """Asks a running server for processes; may be used from several threads."""

    def __init__(self, address: Path) -> None:
        self._address = address

    def run(
        self,
        arguments: Sequence[str],
        *,
        env: dict[str, str],
        stdin: Path,
        stdout: Path,
        stderr: Path,
        timeout_s: float,
    ) -> int:
        """Run one command to its end and return its exit code, negative for a signal as in `subprocess`.

        Raises TimeoutError, having killed it.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(self._address))
            request = {
                "arguments": list(arguments),
                "env": env,
                "streams": [str(stdin), str(stdout), str(stderr)],
                "folder": os.getcwd(),
            }
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r") as answers:
                process = int(answers.readline())
                try:
                    return int(answers.readline())
                except TimeoutError:
                    os.kill(process, signal.SIGKILL)
                    raise


@contextmanager
def running_fork_server() -> Iterator[ForkServer]:
    """Start a server and end it afterwards."""
    with TemporaryDirectory() as folder:
        address = Path(folder) / "s"
        server = subprocess.Popen(
            [sys.executable, __file__, str(address)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield ForkServer(address)
        finally:
            server.kill()
            server.communicate()


def _serve(address: str) -> None:
    _load()
    assert threading.active_count() == 1, "a process with threads must not be forked"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _handle(connection)
        connection.close()


def _load() -> None:
    from twokeys.cli.app import build_command

    build_command("en")
    for name in USUAL:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is loaded is never looked through again in the children, which would copy it


def _handle(connection: socket.socket) -> None:
    """Run the command in a child, and say its process number and how it ended. Never returns."""
    with connection.makefile("r") as requests:
        request = json.loads(requests.readline())
    process = os.fork()
    if process == 0:
        connection.close()
        _become(request)
    connection.sendall(f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict[str, object]) -> None:
    """Turn this process into the command. Never returns."""
    streams, env, arguments = request["streams"], request["env"], request["arguments"]
    assert isinstance(streams, list) and isinstance(env, dict) and isinstance(arguments, list)
    for number, path in enumerate(streams):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(str(request["folder"]))
    from twokeys.cli import main

    main(arguments)


if __name__ == "__main__":
    _serve(sys.argv[1])
