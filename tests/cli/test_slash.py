"""The slash commands of a session: what is a command, what it means, how it is completed."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from twokeys.cli.slash import ALIASES, COMMANDS, SlashCompleter, read_number, read_slash


@pytest.mark.parametrize(
    ("line", "name", "argument"),
    [
        ("/temperature 0.3", "temperature", "0.3"),
        ("  /T 0.3 ", "temperature", "0.3"),
        ("/system You are brief.", "system", "You are brief."),
        ("/?", "help", ""),
        ("/BYE", "quit", ""),
    ],
)
def test_a_command_is_read_by_its_name_or_its_short_form(line: str, name: str, argument: str) -> None:
    command = read_slash(line)
    assert command is not None and (command.name, command.argument) == (name, argument)


@pytest.mark.parametrize("line", ["Hello", "/usr/bin is what?", "// a comment", "/one\nof two lines", ""])
def test_anything_else_is_a_message(line: str) -> None:
    assert read_slash(line) is None


def test_a_mistyped_command_is_no_message_and_brings_what_was_meant() -> None:
    command = read_slash("/temprature 0.3")
    assert command is not None
    assert (command.name, command.near, command.typed) == (None, "temperature", "temprature")
    far = read_slash("/xyzzy")
    assert far is not None and far.name is None and far.near is None


def test_every_short_form_means_a_command() -> None:
    assert set(ALIASES.values()) <= set(COMMANDS) and not set(ALIASES) & set(COMMANDS)


def completions(text: str) -> list[str]:
    presets = [("precise", "0.3"), ("professional", "0.7")]
    completer = SlashCompleter(lambda name: f"about {name}", {"preset": lambda: presets})
    return [each.text for each in completer.get_completions(Document(text), CompleteEvent())]


def test_names_and_arguments_are_completed() -> None:
    assert completions("/se") == ["/set ", "/settings"]
    assert completions("/preset pre") == ["precise"]
    assert completions("/p pro") == ["professional"], "the short form too"
    assert completions("/system a") == completions("hello /s") == completions("/se\nt") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.3", 0.3), ("none", None), ("-", None), ("Random", None), ("high", "high")],
)
def test_a_value_is_read_as_what_it_looks_like(text: str, value: object) -> None:
    read = read_number(text)
    assert read == value and type(read) is type(value)
