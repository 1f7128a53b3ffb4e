"""Judges answers by their prompts' checkers, whatever patterns those hold.

What a person or a file brings, a regular expression or a JSON schema, runs in a child process with a time
limit: the child is kept and used again, and killed when it is over time. Numbers and choices are read here
(checker.py). Knows no studies; one judge is used by one study at a time, from any thread.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twokeys.core.study.checker import READ_CHARS, check
from twokeys.core.study.prompt import Checker

CHILD_SCRIPT = Path(__file__).with_name("pattern_child.py")
LIMIT_S = 3.0
"""A usual pattern takes a thousandth of it."""
START_S = 60.0
"""How long a busy machine may take to start the child."""

Problem = Literal["checker_timeout", "checker_failed"]


@dataclass(frozen=True, slots=True)
class PatternResult:
    """right: None when it could not be judged; problem says why: the pattern took too long, or it broke."""

    right: bool | None
    problem: Problem | None = None


class Judge:
    """Judges answers, patterns in a child process. limit_s: how long one pattern may try one answer."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def judge(self, checker: Checker, answer: str) -> PatternResult:
        """Return whether an answer is right."""
        if checker.kind in ("number", "choice"):
            return PatternResult(check(checker, answer))
        trial = {
            "kind": checker.kind,
            "value": checker.value,
            "text": answer[:READ_CHARS].strip(),
            "limit_s": self._limit_s + 2.0,
        }
        with self._lock:
            return self._ask(json.dumps(trial, default=str))

    def has_form(self, schema: Mapping[str, object], answer: str) -> PatternResult:
        """Return whether the whole answer, as it came, is JSON that holds to the schema."""
        trial = {"kind": "form", "value": dict(schema), "text": answer, "limit_s": self._limit_s + 2.0}
        with self._lock:
            return self._ask(json.dumps(trial, default=str))

    def close(self) -> None:
        """End the child; the next answer starts another."""
        with self._lock:
            self._end()

    def _ask(self, trial: str) -> PatternResult:
        try:
            if self._child is None:
                self._child = _Child()
            answer = self._child.ask(trial, self._limit_s)
        except TimeoutError:
            self._end()
            return PatternResult(None, "checker_timeout")
        except (OSError, ValueError):
            self._end()
            return PatternResult(None, "checker_failed")
        if "right" in answer:
            return PatternResult(bool(answer["right"]))
        return PatternResult(None, "checker_failed")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


class _Child:
    """The child process. Raises OSError when it does not start."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(CHILD_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, name="twokeys-judge", daemon=True).start()
        try:
            self._answer(START_S)
        except (TimeoutError, ValueError) as exc:
            self.kill()
            raise OSError("the process for patterns did not start") from exc

    def ask(self, trial: str, limit_s: float) -> dict[str, Any]:
        """Return the child's answer. Raises TimeoutError, OSError, or ValueError when it ended."""
        stdin = self._process.stdin
        if stdin is None:
            raise OSError("the process for patterns has no input")
        stdin.write(trial + "\n")
        stdin.flush()
        return self._answer(limit_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _answer(self, limit_s: float) -> dict[str, object]:
        try:
            line = self._lines.get(timeout=limit_s)
        except queue.Empty as exc:
            raise TimeoutError from exc
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read(self) -> None:
        """Pass on what the child says; an empty line once it says nothing more."""
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout or ():
                self._lines.put(line)
        self._lines.put("")
