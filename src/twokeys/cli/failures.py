"""From an exception to one sentence, a next step and an exit code.

The broad catch of the command line ends here: what is not foreseen is logged with its traceback
and shown as a sentence.
"""

import logging
from collections.abc import Mapping
from typing import Any

import typer

from twokeys.cli.output import Output
from twokeys.errors import BadInput, TwoKeysError, read_stored, unexpected

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def report(error: BaseException, language: str, as_json: bool) -> int:
    """Print the error in the reader's language and return the exit code that belongs to it."""
    out = Output(language, as_json=as_json)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        out.error({"code": "interrupted", "message": out.text("error.interrupted"), "hint": ""})
        return EXIT_INTERRUPTED
    if isinstance(error, StoredFailure):
        out.error(stored_error(error.error, language))
        return EXIT_FAILED
    if isinstance(error, TwoKeysError):
        out.error(error.to_dict(language))
        return EXIT_USAGE if isinstance(error, BadInput) else EXIT_FAILED
    if isinstance(error, typer.TyperException):
        out.error(describe_usage_error(error, out))
        return getattr(error, "exit_code", EXIT_USAGE)
    log.debug("unforeseen error", exc_info=error)
    stored = unexpected(error)
    message = out.text("error.unforeseen", reason=stored["params"]["reason"])
    out.error({"code": stored["code"], "message": message, "hint": out.text("error.unforeseen_hint")})
    return EXIT_FAILED


class StoredFailure(Exception):
    """An answer failed; `error` is what its message keeps: {"code", "params"}."""

    def __init__(self, error: Mapping[str, object]) -> None:
        super().__init__(error.get("code"))
        self.error = error


def stored_error(error: Mapping[str, object], language: str) -> dict[str, str]:
    """Return code, message and hint of a stored error in the reader's language."""
    return read_stored(error).to_dict(language)


def describe_usage_error(error: typer.TyperException, out: Output) -> dict[str, object]:
    """Return code, message and hint for a command typed wrongly.

    The parser's own classes are told apart by name, because typer does not export them.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "twokeys"
    return {
        "code": "usage",
        "message": _usage_sentence(error, out),
        "hint": out.text("usage.hint", command=command),
    }


def _usage_sentence(error: typer.TyperException, out: Output) -> str:
    kind = type(error).__name__
    parameter = getattr(error, "param", None)
    label = _label(parameter)
    if kind == "NoSuchOption":
        near = ", ".join(sorted(getattr(error, "possibilities", None) or ()))
        key = "usage.no_such_option_near" if near else "usage.no_such_option"
        return out.text(key, option=getattr(error, "option_name", ""), near=near)
    if kind == "MissingParameter":
        return out.text("usage.missing", name=label)
    if kind == "BadParameter" and parameter is not None:
        return out.text("usage.bad_value", name=label, reason=error.message)
    if kind == "BadOptionUsage":
        return out.text("usage.option_needs_value", option=getattr(error, "option_name", ""))
    if kind == "UsageError" and error.message.startswith("No such command"):
        name = error.message.removeprefix("No such command").split("'")
        return out.text("usage.no_such_command", name=name[1] if len(name) > 1 else "")
    if kind == "UsageError" and "unexpected extra argument" in error.message:
        return out.text("usage.extra_argument", values=error.message.partition("(")[2].rpartition(")")[0])
    if kind == "NoArgsIsHelpError":
        return out.text("usage.no_command")
    sentence: str = error.format_message()
    return sentence.strip()


def _label(parameter: Any) -> str:
    if parameter is None:
        return ""
    options: list[str] = [name for name in getattr(parameter, "opts", ()) if name.startswith("-")]
    if options:
        return max(options, key=len)
    return str(getattr(parameter, "metavar", None) or parameter.name).strip("[]").upper()
