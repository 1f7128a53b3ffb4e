"""Reads a document in a child process that is limited in memory, time and output.

What cannot be read is refused with a sentence and a next step; the file itself is never changed.
"""

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from twokeys.documents.document import Document, Passage
from twokeys.documents.kinds import KINDS, ending_of, kind_of
from twokeys.documents.limits import MAX_BYTES, OUTPUT_BYTES, TIME_S
from twokeys.errors import BadDocument, Reason
from twokeys.units import bytes_text

__all__ = ["KINDS", "read_document", "read_file"]

_OUT_OF_MEMORY = b"MemoryError"


def read_file(path: Path, *, time_s: float = TIME_S) -> Document:
    """Return a document on the disk. Raises BadDocument, with nothing changed."""
    return read_document(file_bytes(path), path.name, time_s=time_s)


def file_bytes(path: Path) -> bytes:
    """Return what a file on the disk holds, where it can be a document. Raises BadDocument."""
    path = path.expanduser()
    if path.is_dir():
        raise problem_of(path.name or str(path), "folder")
    if kind_of(path.name) is None and path.exists():
        raise problem_of(path.name, "unknown_kind", ending=ending_of(path.name))
    try:
        if not path.is_file():
            raise problem_of(str(path), "not_there" if not path.exists() else "no_file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise _too_large(path.name, size)
        return path.read_bytes()
    except OSError as exc:
        raise problem_of(path.name, "unreadable", reason=exc.strerror or str(exc)) from exc


def read_document(data: bytes, name: str, *, time_s: float = TIME_S) -> Document:
    """Return a document that was handed in. Raises BadDocument."""
    kind = kind_of(name)
    if kind is None:
        raise problem_of(name, "unknown_kind", ending=ending_of(name))
    if len(data) > MAX_BYTES:
        raise _too_large(name, len(data))
    if not data.strip():
        raise problem_of(name, "empty")
    answer = _ask_child(data, name, kind, time_s)
    if "problem" in answer:
        raise problem_of(name, str(answer["problem"]), **answer["values"])
    passages = tuple(Passage(*passage) for passage in answer["passages"])
    return Document(
        name=name,
        kind=kind,
        sha256=hashlib.sha256(data).hexdigest(),
        unit=answer["unit"],
        passages=passages,
        total=len(passages),
        encoding=answer["encoding"],
    )


def problem_of(name: str, problem: str, **values: object) -> BadDocument:
    """Return the error of a problem, a key of texts/documents.toml."""
    return BadDocument(
        name=name,
        problem=problem,
        reason=Reason(f"documents.problem.{problem}.text", **values),
        next_step=Reason(f"documents.problem.{problem}.hint", **values),
    )


def _too_large(name: str, size: int) -> BadDocument:
    return problem_of(name, "too_large", size=bytes_text(size), limit=bytes_text(MAX_BYTES))


def _ask_child(data: bytes, name: str, kind: str, time_s: float) -> dict[str, Any]:
    """Return the child's answer. Raises BadDocument when it gives none within its limits."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-X", "utf8", "-m", "twokeys.documents.child", kind, ending_of(name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    clock = threading.Timer(time_s, process.kill)
    feeder = threading.Thread(target=_feed, args=(process, data), daemon=True)
    errors: list[bytes] = []
    listener = threading.Thread(target=_listen, args=(process, errors), daemon=True)
    for thread in (clock, feeder, listener):
        thread.start()
    try:
        output = process.stdout.read(OUTPUT_BYTES + 1) if process.stdout else b""
        if len(output) > OUTPUT_BYTES:
            raise problem_of(name, "too_much_text", limit=OUTPUT_BYTES)
    finally:
        # alive still: its answer was too long, or it has just given it
        in_time = clock.is_alive()
        clock.cancel()
        if len(output) > OUTPUT_BYTES:
            process.kill()
        process.wait()
        for thread in (feeder, listener):
            thread.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
    return _answer_in(output, name, process.returncode, in_time, b"".join(errors))


def _answer_in(output: bytes, name: str, code: int, in_time: bool, errors: bytes) -> dict[str, object]:
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError as exc:
        if not in_time:
            raise problem_of(name, "too_slow", seconds=int(TIME_S)) from exc
        if _OUT_OF_MEMORY in errors:
            raise problem_of(name, "memory") from exc
        raise problem_of(name, "crashed", code=code) from exc
    return answer


def _feed(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    """Hand the file over; a child that has ended takes no more."""
    with contextlib.suppress(OSError, ValueError):
        if process.stdin is not None:
            process.stdin.write(data)
            process.stdin.close()


def _listen(process: "subprocess.Popen[bytes]", errors: list[bytes]) -> None:
    """Keep the beginning of what the child complains about, and read the rest away."""
    with contextlib.suppress(OSError, ValueError):
        while process.stderr is not None and (chunk := process.stderr.read(4096)):
            if sum(map(len, errors)) < 1_000_000:
                errors.append(chunk)
