"""The process in which a foreign file is read, started by reader.py, one for each file.

It limits its own memory and time, opens no connection, starts no program and writes no file. Its input is
the file; its arguments are the kind of file and the ending of its name. Its answer is one line of JSON:
{"unit", "encoding", "passages": [[number, title, text], …]} or {"problem", "values"}.
"""

import contextlib
import json
import os
import sys

from twokeys.documents.kinds import read_as
from twokeys.documents.limits import MAX_CHARS, MAX_PASSAGES, MEMORY_BYTES, TIME_S
from twokeys.documents.refusal import Refusal

_FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.fork")


def main() -> None:
    """Read the file and answer."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    data = sys.stdin.buffer.read()
    _limit()
    try:
        answer = _answer(data, *sys.argv[1:3])
    except Refusal as refusal:
        answer = {"problem": refusal.problem, "values": refusal.values}
    except MemoryError:
        answer = {"problem": "memory", "values": {}}
    except RecursionError:
        answer = {"problem": "broken", "values": {"reason": "nested too deep"}}
    except Exception as error:  # noqa: BLE001  whatever a broken file makes of a reader
        answer = {"problem": "broken", "values": {"reason": f"{type(error).__name__}: {error}"[:300]}}
    answers.write(json.dumps(answer, ensure_ascii=True, default=str).encode("ascii"))
    answers.close()


def _answer(data: bytes, kind: str, ending: str) -> dict[str, object]:
    contents = read_as(kind, data, ending)
    passages = contents.passages
    if len(passages) > MAX_PASSAGES:
        raise Refusal("too_many_pages", pages=len(passages), limit=MAX_PASSAGES)
    if sum(len(passage.text) for passage in passages) > MAX_CHARS:
        raise Refusal("too_much_text", limit=MAX_CHARS)
    if not any(passage.text.strip() for passage in passages):
        raise Refusal("no_text")
    return {
        "unit": contents.unit,
        "encoding": contents.encoding,
        "passages": [[p.number, p.title, _whole(p.text)] for p in passages],
    }


def _whole(text: str) -> str:
    """Return text without halves of characters and without characters that no text holds."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "").replace("\x0c", "\n")


def _limit() -> None:
    """Take away what reading a file does not need."""
    # openpyxl would load it, and it takes memory
    sys.modules["numpy"] = None  # type: ignore[assignment]
    with contextlib.suppress(ImportError):  # no such limits on Windows: the parent's clock is left
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(TIME_S), int(TIME_S) + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: object) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(event)


if __name__ == "__main__":
    main()
