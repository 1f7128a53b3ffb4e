"""The slash commands of the interactive session: their names, reading a line, completing it.

Knows no services; the session gives it the values that complete an argument.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

COMMANDS: Mapping[str, str] = {
    "help": "",
    "new": "",
    "temperature": "0.3",
    "length": "1024",
    "preset": "NAME",
    "system": "TEXT",
    "json": "FILE",
    "table": "NAME:TYPE, …",
    "set": "NAME VALUE",
    "settings": "",
    "regenerate": "",
    "continue": "",
    "differently": "",
    "guard": "LEVEL",
    "undo": "",
    "redo": "",
    "shorten": "N",
    "clear": "",
    "list": "",
    "open": "ID",
    "export": "FILE",
    "quit": "",
}
"""Name of each command and what its argument looks like; the order of /help."""

ALIASES: Mapping[str, str] = {
    "t": "temperature",
    "l": "length",
    "p": "preset",
    "r": "regenerate",
    "c": "continue",
    "h": "help",
    "?": "help",
    "q": "quit",
    "exit": "quit",
    "bye": "quit",
}


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command as typed. name is None when there is no such command; near: what was meant, perhaps."""

    name: str | None
    argument: str
    typed: str
    near: str | None = None


def read_slash(line: str) -> SlashCommand | None:
    """Return the command in a line that starts with "/", None for a message.

    A path or a fraction such as "/usr/bin is what?" is a message: the first word holds another slash.
    """
    stripped = line.strip()
    if not stripped.startswith("/") or stripped.startswith("//"):
        return None
    typed, _, argument = stripped[1:].partition(" ")
    if "/" in typed or "\n" in typed:
        return None
    word = typed.lower()
    name = word if word in COMMANDS else ALIASES.get(word)
    near = difflib.get_close_matches(word, COMMANDS, n=1) if name is None else []
    return SlashCommand(name, argument.strip(), typed, near[0] if near else None)


class SlashCompleter(Completer):
    """Completes command names, and arguments through `choices[name]() -> [(value, remark)]`."""

    def __init__(
        self,
        about: Callable[[str], str],
        choices: Mapping[str, Callable[[], Iterable[tuple[str, str]]]],
    ) -> None:
        self._about = about
        self._choices = choices

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, argument = text[1:].partition(" ")
        if not space:
            yield from self._names(name)
        elif (choices := self._choices.get(ALIASES.get(name, name))) is not None:
            for value, remark in choices():
                if value.lower().startswith(argument.lower()):
                    yield Completion(value, start_position=-len(argument), display_meta=remark)

    def _names(self, begun: str) -> Iterator[Completion]:
        for name, argument in COMMANDS.items():
            if name.startswith(begun.lower()):
                yield Completion(
                    f"/{name}" + (" " if argument else ""),
                    start_position=-len(begun) - 1,
                    display=f"/{name} {argument}".rstrip(),
                    display_meta=self._about(name),
                )


def read_number(text: str) -> object:
    """Return 3 for "3", 0.3 for "0.3", None for "none", and the text itself for anything else."""
    if text.lower() in ("none", "random", "-"):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
