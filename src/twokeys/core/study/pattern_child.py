"""The process in which foreign patterns and JSON schemas are tried on answers, started by judge.py.

A pattern can take for ever, and holds Python's lock meanwhile: nothing else in its process runs. So it has
a process of its own, which ends when its input does and ends itself should a trial outlast its parent.

Each line of its input is {"kind": "regex" | "json" | "form", "value": …, "text": …, "limit_s": …}; its
answer is one line, {"right": true | false} or {"failed": "…"}. "json" looks for a value in the text, "form"
takes the whole of it. The first line it writes is {"ready": true}. A script, not a part of the package: it
imports nothing of it, and nothing an answer contains is ever executed.
"""

import faulthandler
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

CHECKED_FORMATS = ("date", "uuid", "email", "ipv4")
_FENCE = re.compile(r"```[a-zA-Z]*\s*(.*?)```", re.DOTALL)


def main() -> None:
    """Answer line after line."""
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    nothing = Path(os.devnull).open("w")  # noqa: SIM115  written to as the process ends
    for line in sys.stdin:
        trial = json.loads(line)
        # a thread that needs no lock of Python's; a parent that lives has given up before
        faulthandler.dump_traceback_later(trial["limit_s"], exit=True, file=nothing)
        try:
            answer: dict[str, Any] = {"right": _is_right(trial["kind"], trial["value"], trial["text"])}
        except Exception as error:  # noqa: BLE001  whatever a pattern or schema does
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _is_right(kind: str, value: Any, text: str) -> bool:
    if kind == "regex":
        return re.search(value, text, re.IGNORECASE) is not None
    from jsonschema import Draft202012Validator, FormatChecker

    if kind == "form":
        return _has_form(Draft202012Validator(value, format_checker=FormatChecker(CHECKED_FORMATS)), text)
    for candidate in [*_FENCE.findall(text), text]:
        instance = _first_json(candidate)
        if instance is not None:
            return bool(Draft202012Validator(value).is_valid(instance))
    return False


def _has_form(validator: Any, text: str) -> bool:
    try:
        return bool(validator.is_valid(json.loads(text)))
    except (ValueError, RecursionError):
        return False


def _first_json(text: str) -> object:
    decoder = json.JSONDecoder()
    for match in re.finditer(r"[\[{]", text):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except ValueError:
            continue
        except RecursionError:
            return None
    return None


if __name__ == "__main__":
    main()
