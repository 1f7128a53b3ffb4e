"""The command line as people and scripts run it: real processes on a temporary home."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import pexpect
from tests.fork_server import ForkServer

TIMEOUT_S = 240
READY = "Ask something"
"""What an empty message box of a session shows."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a command without a stream printed: exactly one line of JSON."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self
        return json.loads(lines[0])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """Runs `twokeys`: to its end (`run`), beside the test (`start`) or in a terminal (`terminal`).

    Every process started here is ended with the test.
    """

    def __init__(self, home: Path, forks: ForkServer) -> None:
        self.home = home
        self._forks = forks
        self._started: list[subprocess.Popen[str]] = []
        self._spawned: list[pexpect.spawn[str]] = []

    def env(self, language: str = "en", **more: str) -> dict[str, str]:
        retained = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
        locale = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[language]
        return {**retained, "LANG": locale, "TWOKEYS_HOME": str(self.home), "COLUMNS": "80", **more}

    def run(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        language: str = "en",
        env: dict[str, str] | None = None,
    ) -> Ran:
        """Run a command to its end, with `stdin` for what it reads."""
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        with TemporaryDirectory() as folder:
            read, out, err = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
            read.write_bytes(data)
            code = self._forks.run(
                [*map(str, arguments)],
                env=self.env(language, **(env or {})),
                stdin=read,
                stdout=out,
                stderr=err,
                timeout_s=TIMEOUT_S,
            )
            return Ran(code, out.read_text("utf-8"), err.read_text("utf-8"))

    def start(self, *arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "twokeys", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env(**(env or {})),
            text=True,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def terminal(
        self, *arguments: str | Path, language: str = "en", env: dict[str, str] | None = None
    ) -> "pexpect.spawn[str]":
        """Run in a pseudo-terminal, as a person does."""
        spawned = pexpect.spawn(
            sys.executable,
            ["-m", "twokeys", *map(str, arguments)],
            env=self.env(language, TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1", **(env or {})),  # type: ignore[arg-type]
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 100),
        )
        self._spawned.append(spawned)
        return spawned

    def leave(self, terminal: "pexpect.spawn[str]", prompt: str = READY) -> None:
        """End a session by Ctrl-D at its next prompt, which must be one that no `expect` has read yet."""
        terminal.expect(prompt)
        give_up = monotonic() + TIMEOUT_S
        # A Ctrl-D that comes before the prompt has the terminal in its hands is swallowed by the terminal
        # itself, and a loaded machine makes that moment long.
        while monotonic() < give_up:
            with contextlib.suppress(OSError):  # ended meanwhile
                terminal.sendeof()
            if terminal.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=2) == 0:
                break
        terminal.wait()
        assert terminal.exitstatus == 0, terminal.before

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for spawned in self._spawned:
            with contextlib.suppress(pexpect.ExceptionPexpect):
                spawned.close(force=True)
