"""The command line as people and scripts run it: real processes on a temporary home."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

TIMEOUT_S = 240


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
    """Runs `python -m twokeys`. Every process started here is ended with the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._started: list[subprocess.Popen[str]] = []
        self._spawned: list[pexpect.spawn[str]] = []

    def env(self, language: str = "en", **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
        locale = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[language]
        return {**kept, "LANG": locale, "TWOKEYS_HOME": str(self.home), "COLUMNS": "80", **more}

    def run(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        language: str = "en",
        env: dict[str, str] | None = None,
    ) -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "twokeys", *map(str, arguments)],
            input=b"" if data is None else data,
            capture_output=True,
            env=self.env(language, **(env or {})),
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

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

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for spawned in self._spawned:
            with contextlib.suppress(pexpect.ExceptionPexpect):
                spawned.close(force=True)
