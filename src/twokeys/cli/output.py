"""What a command prints: results on stdout, everything else on stderr, in the reader's language.

Knows nothing of commands. In JSON mode stdout carries JSON only, one object a line, always UTF-8.
What models and other people wrote never commands the terminal: its control characters are shown as
U+FFFD there; a file or a pipe gets the text as it is.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from twokeys.i18n import translate

if TYPE_CHECKING:
    from rich.console import Console


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tab and line end: with these a text moves the cursor, sets titles, fills the clipboard."""
_RAW_IN_JSON = re.compile("[\x7f-\x9f]")


class Output:
    """Where one command writes. `language` is "zh" or "en"; `as_json` is the --json switch."""

    def __init__(self, language: str, *, as_json: bool = False) -> None:
        self.language = language
        self.as_json = as_json

    def text(self, key: str, /, **values: object) -> str:
        """Return a text of the command line, e.g. `text("chat.cut.length")`."""
        return translate(f"cli.{key}", self.language, **values)

    def json(self, value: object) -> None:
        """Print one JSON value on a line of its own and flush it."""
        line = json.dumps(value, ensure_ascii=False, default=str)
        line = _RAW_IN_JSON.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)
        sys.stdout.write(line.encode("utf-8", "replace").decode("utf-8") + "\n")
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """Print plain text to stdout: for results that scripts may read without --json."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Print plain text to stdout without a line end, at once."""
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """Print a remark for a person to stderr; nothing in JSON mode."""
        if not self.as_json:
            self._say(text, style)

    def error(self, error: Mapping[str, object]) -> None:
        """Print an error: a sentence and the next step on stderr, and the object in JSON mode."""
        self._say(self.text("error.line", message=error["message"]), "bold red")
        if error.get("hint"):
            self._say(self.text("error.hint", hint=error["hint"]), "yellow")
        if self.as_json:
            shown = {name: error.get(name, "") for name in ("code", "message", "hint")}
            self.json({"error": shown})

    def _say(self, text: str, style: str) -> None:
        """A person's terminal gets whole words on each line, a log one line for each sentence."""
        wrapped = self.errors.is_terminal
        self.errors.print(text, style=style, markup=False, highlight=False, soft_wrap=not wrapped)

    @cached_property
    def console(self) -> "Console":
        """The rich console on stdout: colours only on a terminal, honours NO_COLOR."""
        return _harmless_console()

    @cached_property
    def errors(self) -> "Console":
        """The rich console on stderr."""
        return _harmless_console(stderr=True)


def printable(text: str) -> str:
    """Return the text without the power to command a terminal."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n"))


def _harmless_console(*, stderr: bool = False) -> "Console":
    """Return a console of rich's that prints every text as `printable` has it, wherever it stands."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class HarmlessConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return HarmlessConsole(stderr=stderr, highlight=False)


def clean(text: str) -> str:
    """Return the text with undecodable bytes of an argument or a pipe replaced by U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
