"""The command `twokeys`.

`main` finds the language, runs the command and turns every error into one sentence and an exit
code: 0 done, 1 failed, 2 used wrongly, 130 interrupted. The commands live in the modules beside
this one; importing this package imports none of them.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from twokeys.i18n import negotiate

_HELP = ("--help", "-h", "--version", "--install-completion", "--show-completion")
_GROUPS = (["models"], ["conversations"], ["study"], ["write"])
_TAKES_VALUE = ("--lang", "--model", "-m")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _write_utf8()
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`head`) is gone; point stdout elsewhere so that the exit does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every foreseeable error is printed."""
    from twokeys.cli.failures import report

    language = language_of(arguments, os.environ)
    as_json = "--json" in _before_dashes(arguments)
    _log_to_stderr(os.environ)
    try:
        from twokeys.cli.app import ORDER, build_command

        arguments = with_default_command(arguments)
        helps, named = _may_show_help(arguments), command_of(arguments)
        only = named if named in ORDER and not helps else None
        command = build_command(language, with_help=helps, only=only)
        result = command.main(args=arguments, prog_name="twokeys", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place that ends them all
        return report(error, language, as_json)


def language_of(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Return "zh" or "en": --lang, else LC_ALL, LC_MESSAGES, LANG in the order of POSIX."""
    given = _before_dashes(arguments)
    for position, argument in enumerate(given):
        if argument.startswith("--lang="):
            return negotiate(argument.partition("=")[2])
        if argument == "--lang" and position + 1 < len(given):
            return negotiate(given[position + 1])
    return negotiate(next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), None))


def with_default_command(arguments: list[str]) -> list[str]:
    """Return the arguments with `ui` put in when no command is named: `twokeys --port 9000`."""
    position = _behind_globals(arguments)
    if position < len(arguments) and _is_command_or_help(arguments[position]):
        return arguments
    return [*arguments[:position], "ui", *arguments[position:]]


def command_of(arguments: Sequence[str]) -> str | None:
    """Return the first argument that is no global option and no value of one: the command that is named."""
    position = _behind_globals(arguments)
    return arguments[position] if position < len(arguments) else None


def _behind_globals(arguments: Sequence[str]) -> int:
    """Return the place of the first argument that is not one of the global options."""
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument in _TAKES_VALUE:
            position += 2
        elif argument == "--json" or argument.startswith(("--lang=", "--model=")):
            position += 1
        else:
            break
    return min(position, len(arguments))


def _is_command_or_help(argument: str) -> bool:
    return argument in _HELP or not argument.startswith("-")


def _may_show_help(arguments: Sequence[str]) -> bool:
    """Whether a help page may be drawn: when asked for, or for a group without its command."""
    given = _before_dashes(arguments)
    return any(argument in _HELP for argument in given) or given[-1:] in _GROUPS


def _before_dashes(arguments: Sequence[str]) -> list[str]:
    listed = list(arguments)
    return listed[: listed.index("--")] if "--" in listed else listed


def _write_utf8() -> None:
    """A pipe on Windows, or a C locale, must not turn Chinese text into an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def _log_to_stderr(env: Mapping[str, str]) -> None:
    """Quiet by default: what a person must know is printed, not logged. TWOKEYS_LOG=debug shows all."""
    import logging

    level = getattr(logging, env.get("TWOKEYS_LOG", "").upper(), logging.CRITICAL)
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
